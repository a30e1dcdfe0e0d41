"""Named tensors in safetensors files: written atomically, read with sentences, hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dait.errors import UserError
from dait.storage.files import write_atomically

NETWORK_KEY = "dait-network"
"""Under which a file's metadata describes the network that it holds, as JSON."""


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors (projections, adapters) to a safetensors file, atomically.

    Raises ``UserError`` when the disk is full.
    """
    # A clone of its own for each: safetensors refuses tensors that share memory, and wants them
    # contiguous, which channels_last weights are not.
    owned = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in tensors.items()
    }
    write_atomically(path, save(owned, dict(metadata or {}) or None))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of ``save_tensors``; raises ``UserError`` for a missing or damaged file."""
    return read_tensors(path)[0]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file; raises ``UserError`` for a missing or damaged one."""
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file alone; raises ``UserError`` for a missing or damaged one."""
    with _opened(path) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a file")  # a pipe would be waited for
        with safe_open(str(path), framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged or not a safetensors file ({error}); make or copy it again."
        ) from error


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex; raises ``UserError`` if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from error
    return digest.hexdigest()


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """A SHA-256 over names, types, shapes and values, in hex, whatever the tensors' order."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key}:{value.dtype}:{tuple(value.shape)}:".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
