"""Networks as safetensors files that describe themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dait.errors import UserError
from dait.models.heads import HeadMix, MixDescription
from dait.models.network import Network, NetworkSpec, build_network
from dait.models.tensors import (
    NETWORK_KEY,
    file_sha256,
    load_tensors,
    read_metadata,
    read_tensors,
    save_tensors,
    tensors_sha256,
)
from dait.storage.files import parse_json

__all__ = [
    "LoadedNetwork",
    "NetworkDescription",
    "describe_network",
    "file_sha256",
    "load_network",
    "load_tensors",
    "save_network",
    "save_tensors",
    "tensors_sha256",
    "weights_digest",
]

VERSION: Literal[1] = 1


class NetworkDescription(BaseModel):
    """What a network file says of itself, as JSON in its metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    spec: NetworkSpec
    num_classes: int = Field(ge=1, le=100_000)
    classes: tuple[str, ...]
    image_size: int
    arm: str
    mix: MixDescription | None = None
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
        # Where training started is the run's to record: the file itself needs no other file.
        spec=network.spec.model_copy(update={"weights": None}),
        num_classes=network.num_classes,
        classes=tuple(classes),
        image_size=network.image_size,
        arm=arm,
        mix=network.mix.describe() if network.mix else None,
        extra=dict(extra or {}),
    )
    tensors = dict(network.state_dict())
    if dtype is not None:
        for key, _ in network.named_parameters():
            rounded = tensors[key].detach().to(dtype)
            if torch.isfinite(rounded).all():
                tensors[key] = rounded
    without = None if description.mix else {"mix"}  # as programs that know one head read it
    save_tensors(path, tensors, {NETWORK_KEY: description.model_dump_json(exclude=without)})


def load_network(path: Path) -> LoadedNetwork:
    """The network in ``path``, in eval mode and fp32; torch's random state is left as it was.

    Raises ``UserError`` for a missing, damaged or foreign file, and for another version.
    """
    tensors, metadata = read_tensors(path)
    description = _description(path, metadata)
    # The file holds every weight: nothing is downloaded, and what is drawn is overwritten.
    spec = description.spec.model_copy(update={"pretrained": False, "weights": None})
    with torch.random.fork_rng(devices=[]):
        network = build_network(spec, description.num_classes, description.image_size)
        if description.mix is not None:
            network.mix = HeadMix.from_description(
                description.mix, network.pooled_width, network.num_classes
            )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"The weights in {path} do not fit the network that it describes ({spec.name}). It was "
            "changed, or written with another version of timm; train or export it again."
        ) from error
    network.spec = description.spec
    return LoadedNetwork(network.eval(), list(description.classes), description)


def describe_network(path: Path) -> NetworkDescription:
    """What a network's file says of itself, without its weights. Raises as ``load_network``."""
    return _description(path, read_metadata(path))


EXPORTED_FROM = "exported_from"
"""Of a file that was made smaller: the digest of the one that it holds the rounded weights of."""


def weights_digest(path: Path) -> str:
    """By which figures name the weights that they were measured of: the file's SHA-256, in hex.

    An exported network is known by the file that it was exported from. Raises ``UserError`` where
    the file cannot be read.
    """
    try:
        exported_from = describe_network(path).extra.get(EXPORTED_FROM)
    except UserError:  # loading it reports what is wrong
        exported_from = None
    return exported_from or file_sha256(path)


def _description(path: Path, metadata: dict[str, str]) -> NetworkDescription:
    if NETWORK_KEY not in metadata:
        raise UserError(
            f"{path} is a safetensors file, but not a network of this project: it does not say "
            "which network it holds. Give a student.safetensors or intermediate.safetensors."
        )
    try:
        fields: Any = parse_json(metadata[NETWORK_KEY].encode())
        version = fields.get("version") if isinstance(fields, dict) else None
        if version is not None and version != VERSION:
            raise UserError(
                f"{path} has format version {str(version)[:40]}; this program reads version "
                f"{VERSION}. Use the version of the project that wrote it."
            )
        return NetworkDescription.model_validate(fields)
    except (ValueError, ValidationError) as error:
        raise UserError(f"The description in {path} is damaged: {error}") from error
