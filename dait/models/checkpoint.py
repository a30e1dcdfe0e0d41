"""Networks as safetensors files that describe themselves, and plain tensors beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dait.errors import UserError
from dait.models.network import Network, NetworkSpec, build_network
from dait.runs import write_atomically

FORMAT = "dait-network"
VERSION: Literal[1] = 1
_KEY = FORMAT  # the one entry of the file's metadata


class NetworkDescription(BaseModel):
    """What a network file says of itself, as JSON in its metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    spec: NetworkSpec
    num_classes: int = Field(ge=1, le=100_000)
    classes: tuple[str, ...]
    image_size: int
    arm: str
    extra: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_name_a_class(self) -> NetworkDescription:
        if len(self.classes) != self.num_classes:
            raise ValueError(f"{len(self.classes)} class names for {self.num_classes} classes")
        return self


@dataclass(frozen=True)
class LoadedNetwork:
    """A network in eval mode and fp32, its class names in the order of its logits."""

    network: Network
    classes: list[str]
    description: NetworkDescription


def save_network(
    path: Path,
    network: Network,
    classes: list[str],
    *,
    arm: str,
    extra: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write ``network`` and its description to one safetensors file, atomically.

    ``dtype=torch.float16`` halves the file: parameters are rounded (those that fp16 cannot hold
    stay as they are), BatchNorm's statistics are kept in fp32. Raises ``UserError`` when the disk
    is full, ``ValueError`` when ``classes`` does not fit the network.
    """
    description = NetworkDescription(
        spec=network.spec,
        num_classes=network.num_classes,
        classes=tuple(classes),
        image_size=network.image_size,
        arm=arm,
        extra=dict(extra or {}),
    )
    tensors = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    if dtype is not None:
        for key, _ in network.named_parameters():
            rounded = tensors[key].to(dtype)
            if torch.isfinite(rounded).all():
                tensors[key] = rounded
    _write(path, tensors, {_KEY: description.model_dump_json()})


def load_network(path: Path) -> LoadedNetwork:
    """The network in ``path``, in eval mode and fp32; torch's random state is left as it was.

    Raises ``UserError`` for a missing, damaged or foreign file, and for another version.
    """
    tensors, metadata = _read(path)
    description = _description(path, metadata)
    # The file holds every weight: nothing is downloaded, and what is drawn is overwritten.
    spec = description.spec.model_copy(update={"pretrained": False})
    with torch.random.fork_rng(devices=[]):
        network = build_network(spec, description.num_classes, description.image_size)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"The weights in {path} do not fit the network that it describes ({spec.name}). It was "
            "changed, or written with another version of timm; train or export it again."
        ) from error
    network.spec = description.spec
    return LoadedNetwork(network.eval(), list(description.classes), description)


def _description(path: Path, metadata: dict[str, str]) -> NetworkDescription:
    if _KEY not in metadata:
        raise UserError(
            f"{path} is a safetensors file, but not a network of this project: it does not say "
            "which network it holds. Give a student.safetensors or intermediate.safetensors."
        )
    try:
        fields: Any = json.loads(metadata[_KEY])
        version = fields.get("version") if isinstance(fields, dict) else None
        if isinstance(version, int) and version != VERSION:
            raise UserError(
                f"{path} has format version {version}; this program reads version {VERSION}. "
                "Use the version of the project that wrote it."
            )
        return NetworkDescription.model_validate(fields)
    except (ValueError, ValidationError) as error:
        raise UserError(f"The description in {path} is damaged: {error}") from error


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors (projections, adapters) to a safetensors file, atomically.

    Raises ``UserError`` when the disk is full.
    """
    _write(path, {k: v.detach().cpu() for k, v in tensors.items()}, dict(metadata or {}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of ``save_tensors``; raises ``UserError`` for a missing or damaged file."""
    return _read(path)[0]


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


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    # A clone of its own for each: safetensors refuses tensors that share memory, and wants them
    # contiguous, which channels_last weights are not.
    owned = {k: v.clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    write_atomically(path, save(owned, metadata or None))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged or not a safetensors file ({error}); make or copy it again."
        ) from error
