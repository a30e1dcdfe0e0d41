"""What to do when a batch does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dait.config.train import TrainConfig
from dait.errors import UserError

_CPU = ("DefaultCPUAllocator", "not enough memory: you tried to allocate")


@contextmanager
def enough_memory(config: TrainConfig) -> Iterator[None]:
    """Turns a failed allocation within the block into a ``UserError`` that names the options."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_about_memory(error):
            raise
        pieces = f" in {config.accumulation} pieces" if config.accumulation > 1 else ""
        raise UserError(
            f"A batch of {config.batch_size} images{pieces} does not fit into the memory "
            f"({str(error).splitlines()[0]}). Raise train.accumulation, which computes the "
            "same step in more pieces, or lower train.batch_size."
        ) from error


def _is_about_memory(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error) for words in _CPU)
