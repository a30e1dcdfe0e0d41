"""Where a network looks: the Grad-CAM family, as raw maps.

The methods are those of the ``grad-cam`` package: its classes turn activations and gradients into
a map (but see ``_principal``). What the package does around that is done here instead, because it
scales every map to [0, 1] twice (the magnitude is lost), leaves gradients on the parameters, never
restores the training mode, fails on frozen networks and under ``no_grad``, and mixes up concurrent
calls.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import pytorch_grad_cam
import torch
import torch.nn.functional as F
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget
from torch import Tensor, nn

from dait.errors import UserError
from dait.evidence.heatmaps.layers import (
    Explainable,
    OutputLayout,
    layer_called,
    layout_of,
    no_such_layer,
)

METHODS: dict[str, str] = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "finercam": "FinerCAM",
}
"""Our names of the methods, and the package's."""

MAP_METHOD = "gradcam"
"""The default for networks with a feature map."""
TOKEN_METHOD = "layercam"
"""The default for token networks: on small ViTs Grad-CAM's averaged weights often miss."""

FINER_RIVALS = 3
"""FinerCAM contrasts a class with this many of the most similar ones (the package's default)."""


@dataclass(frozen=True)
class Heatmaps:
    """Raw maps of one batch, on the CPU.

    raw: ``(B, h, w)`` float32, at the layer's own resolution, never negative and not scaled.
    logits: ``(B, C)``; predicted, target: ``(B,)`` int64; the maps explain ``target``.
    """

    raw: Tensor
    logits: Tensor
    predicted: Tensor
    target: Tensor
    method: str

    @property
    def empty(self) -> Tensor:
        """``(B,)`` bool: the map is zero everywhere, so the method found nothing."""
        return empty_maps(self.raw)


def default_method(network: nn.Module) -> str:
    """The method to use where nobody chose: by kind of output, map or tokens."""
    return MAP_METHOD if cast(Explainable, network).heatmap_grid() is None else TOKEN_METHOD


def explainable_copy(network: nn.Module) -> nn.Module:
    """A frozen fp32 copy in eval mode, to keep for explaining while the original trains."""
    # Copied outside any inference mode: tensors made inside one can never have a gradient.
    with torch.inference_mode(False):
        return copy.deepcopy(network).float().eval().requires_grad_(False)


def explain(
    network: nn.Module,
    images: Tensor,
    target: Tensor | None = None,
    method: str = MAP_METHOD,
    layer: str | None = None,
) -> Heatmaps:
    """Heatmaps of ``images`` ``(B, 3, H, W)`` in [0, 1] for ``target`` ``(B,)``.

    network: an fp32 ``Explainable`` module (``explainable_copy`` makes one), trainable or frozen.
    It is left as it was found, and calls on one network wait for each other.
    target: class indices; None explains what the network predicts for each image.
    layer: the name of one of the library's own layers (``layer3``, ``blocks.2.norm1``); None takes
        the network's ``heatmap_layer``.
    All images go through one forward and one backward pass, which ends at the layer.
    Raises ``UserError`` for an unknown method or layer, a class index out of range, or outputs that
    are not finite; ``ValueError`` for shapes that do not fit; ``TypeError`` where the network lacks
    a method or is not fp32.
    """
    if method not in METHODS:
        raise UserError(f"There is no heatmap method {method!r}; choose one of {_listed()}.")
    explainable, device = _checked_network(network)
    if images.ndim != 4 or not len(images):
        raise ValueError(f"images must be (B, 3, H, W) with B > 0, not {tuple(images.shape)}")
    with lock_of(network), _differentiable(network, device):
        inputs = images.detach().to(device, torch.float32).clone()
        leaf, logits, layout = _forward(explainable, layer, inputs)
        predicted = logits.detach().argmax(dim=1)
        chosen = predicted if target is None else _checked_target(target, logits).to(device)
        gradient = _gradient(logits, leaf, chosen, method)
        raw = _cam_image(network, method, inputs, *_on_grid(layout, leaf, gradient))
    return Heatmaps(
        raw=torch.from_numpy(raw),
        logits=logits.detach().cpu(),
        predicted=predicted.cpu(),
        target=chosen.cpu(),
        method=method,
    )


def empty_maps(raw: Tensor) -> Tensor:
    """``(B,)`` bool: which of ``(B, h, w)`` raw maps are zero everywhere."""
    return raw.flatten(1).amax(dim=1) <= 0


def upsample_and_scale(raw: Tensor, size: int) -> Tensor:
    """``(B, h, w)`` raw maps → ``(B, size, size)`` for the eye, each divided by its own maximum.

    Zero stays zero (no relevance), the largest becomes 1. A map that is zero everywhere stays so;
    ``empty_maps`` says which.
    """
    upsampled = F.interpolate(
        raw[:, None].float(), size=(size, size), mode="bilinear", align_corners=False
    )[:, 0]
    largest = upsampled.amax(dim=(1, 2), keepdim=True)
    return torch.where(largest > 0, upsampled / largest.clamp_min(1e-30), 0.0).clamp(0, 1)


_LOCKS: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def lock_of(network: nn.Module) -> threading.Lock:
    """Held while a heatmap of the network is made: what it is asked meanwhile would get into it."""
    # By its first part with weights, not by the wrapper: two TeacherScores may share one teacher.
    weighted = (m for m in network.modules() if next(m.parameters(recurse=False), None) is not None)
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(next(weighted), threading.Lock())


@contextmanager
def _differentiable(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Eval mode, gradients on, autocast off; the training flags come back at the end."""
    training = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device.type, enabled=False),
        ):
            yield
    finally:
        for module, flag in training.items():
            module.training = flag


def _forward(
    network: Explainable, name: str | None, inputs: Tensor
) -> tuple[Tensor, Tensor, OutputLayout]:
    """One forward pass; the layer's output as a leaf with gradient, the logits, how it lies."""
    if name is None:
        layer, layout = network.heatmap_layer(), OutputLayout(network.heatmap_grid())
        outputs, logits = _watched(network, layer, inputs)
        if len(outputs) != 1 or not isinstance(outputs[0], Tensor):
            raise RuntimeError(
                f"the heatmap layer {type(layer).__name__} gave {len(outputs)} outputs in one "
                "forward pass; it must run exactly once and give a tensor"
            )
    else:
        outputs, logits, layout = _watched_by_name(network, name, inputs)
    if not torch.isfinite(logits).all():
        raise UserError(
            "The network's outputs are not finite, so there is nothing to explain: its training "
            "diverged. Train it again with a lower learning rate."
        )
    return outputs[0], logits, layout


def _watched_by_name(
    network: Explainable, name: str, inputs: Tensor
) -> tuple[list[Any], Tensor, OutputLayout]:
    layer = layer_called(network, name)
    if layer is not None:
        outputs, logits = _watched(network, layer, inputs)
        if len(outputs) == 1:
            layout = layout_of(outputs[0], len(inputs), network.heatmap_grid())
            if layout is not None:
                return outputs, logits, layout
    raise no_such_layer(network, name, inputs[:1])


def _watched(network: Explainable, layer: nn.Module, inputs: Tensor) -> tuple[list[Any], Tensor]:
    """What the layer gave, each time that it ran, as leaves of the graph; and the logits."""
    outputs: list[Any] = []
    thread = threading.get_ident()

    def start_graph_here(module: nn.Module, args: Any, output: Any) -> Tensor | None:
        if threading.get_ident() != thread:
            return None  # somebody else's prediction on the same network
        if not isinstance(output, Tensor):
            outputs.append(output)
            return None
        # A graph that starts at the layer works on frozen networks and leaves no gradient on any
        # parameter. The clone keeps the leaf whole when the next module works in place.
        outputs.append(output.detach().requires_grad_(True))
        return outputs[-1].clone()

    handle = layer.register_forward_hook(start_graph_here)
    try:
        output = network(inputs)
    finally:
        handle.remove()
    return outputs, getattr(output, "logits", output)


def _gradient(logits: Tensor, leaf: Tensor, chosen: Tensor, method: str) -> Tensor:
    """The gradient of the explained scores at the layer's output, of the leaf's shape."""
    if method == "finercam" and logits.shape[1] < 2:
        raise UserError("FinerCAM contrasts classes, and this network has only one.")
    scores = []
    for row, index in zip(logits, chosen.tolist(), strict=True):
        if method == "finercam":
            distance = (row.detach() - row.detach()[index]).abs()
            distance[index] = -1.0  # itself first, even among equal logits
            rivals = distance.argsort()[1 : 1 + FINER_RIVALS].tolist()
            scores.append(FinerWeightedTarget(index, rivals, alpha=1)(row))
        else:
            scores.append(ClassifierOutputTarget(index)(row))
    total = torch.stack(scores).sum()
    if not total.requires_grad:
        return torch.zeros_like(leaf)  # the answer does not hang on this layer
    (gradient,) = torch.autograd.grad(total, leaf, materialize_grads=True)
    return gradient


def _on_grid(layout: OutputLayout, *outputs: Tensor) -> list[np.ndarray]:
    return [layout.as_map(output.detach()).cpu().numpy() for output in outputs]


def _cam_image(
    network: nn.Module,
    method: str,
    inputs: Tensor,
    activations: np.ndarray,
    gradients: np.ndarray,
) -> np.ndarray:
    """``(B, h, w)`` float32: the method's own map, rectified and not scaled."""
    if method == "eigencam":
        image = _principal(activations)
    else:
        # No target layers: the package then sets no hooks, only its formula is used.
        cam = _method_class(method)(network, [])
        image = np.asarray(cam.get_cam_image(inputs, None, None, activations, gradients, False))
    return np.maximum(image, 0).astype(np.float32)


def _principal(activations: np.ndarray) -> np.ndarray:
    """``(B, d, h, w)`` → ``(B, h, w)``: every position on the channels' first principal component.

    EigenCAM without the package, which asks for all singular vectors: of an early layer, gigabytes.
    A component has no sign; the larger excursion is taken as the object (our choice, after
    Seg-Eigen-CAM, Chung and Ying 2025).
    """
    positions = activations.reshape(*activations.shape[:2], -1).transpose(0, 2, 1)
    centred = positions - positions.mean(axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = left[:, :, 0] * values[:, :1]
    flipped = np.abs(found.min(axis=1)) > np.abs(found.max(axis=1))
    signed = np.where(flipped[:, None], -found, found)
    return signed.reshape(len(activations), *activations.shape[2:])


def _method_class(method: str) -> Any:
    # FinerCAM is Grad-CAM of another score; see _gradient.
    return getattr(pytorch_grad_cam, METHODS["gradcam" if method == "finercam" else method])


def _checked_network(network: nn.Module) -> tuple[Explainable, torch.device]:
    for needed in ("heatmap_layer", "heatmap_grid"):
        if not callable(getattr(network, needed, None)):
            raise TypeError(
                f"{type(network).__name__} has no {needed}(), so it cannot be explained"
            )
    weight = next(network.parameters())
    if weight.dtype != torch.float32:
        raise TypeError(f"heatmaps need fp32 weights, found {weight.dtype}: use explainable_copy")
    return cast(Explainable, network), weight.device


def _checked_target(target: Tensor, logits: Tensor) -> Tensor:
    count, classes = logits.shape
    if target.shape != (count,) or target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(
            f"target must be ({count},) class indices, not {tuple(target.shape)} {target.dtype}"
        )
    wrong = [index for index in target.tolist() if not 0 <= index < classes]
    if wrong:
        raise UserError(
            f"There is no class {wrong[0]}: the network knows {classes} classes, numbered "
            f"0 to {classes - 1}."
        )
    return target.to(torch.int64)


def _listed() -> str:
    return ", ".join(METHODS)
