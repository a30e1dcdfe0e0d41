"""Mixed precision: which one a device has, and the block that runs in it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from dait.config.train import Precision
from dait.errors import UserError

_DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raises ``UserError`` for a precision that the device does not have."""
    if precision == "fp16" and device.type != "cuda":
        raise UserError(
            f"train.precision is fp16, which needs an NVIDIA GPU, and this is {device.type}. Set "
            "it to fp32; bf16 works on a CPU, but is slower on most."
        )
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("train.precision is bf16, which this GPU does not have. Use fp16 or fp32.")
    old = device.type == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0)
    if precision == "bf16" and old:
        raise UserError("train.precision is bf16, which needs macOS 14 or newer. Use fp32.")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The block's matrix products and convolutions run in ``precision``; losses stay in fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _DTYPES[precision])
