"""torchvision's classifiers behind the three methods by which timm's networks are taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torchvision.models import ShuffleNetV2, get_model, get_model_weights

from dait.errors import UserError
from dait.models.catalogue import TORCHVISION
from dait.models.spec import NetworkSpec

SHUFFLENET_REPEATS = (4, 8, 4)
SHUFFLENET_WIDTHS: dict[str, tuple[int, ...]] = {
    "shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (24, 116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
}
"""Widths of the stem, the stages and the last convolution (Ma et al. 2018, table 5)."""


class TorchvisionNetwork(nn.Module):
    """A torchvision classifier with timm's way of splitting body, head and classifier.

    torchvision registers a network's modules in the order in which it runs them: what stands
    before the pooling makes the map, the last of all is the linear head. The wrapper above compares
    this with the network's own forward pass, so that one that is built otherwise is refused.
    """

    def __init__(self, body: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.body = body
        self.pretrained_cfg = {"mean": mean, "std": std}
        self._map_parts, self._head_parts = _split(body)

    def forward_features(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)``, normalised → ``(B, C, h, w)``."""
        out = images
        for name in self._map_parts:
            for module in _in_order(getattr(self.body, name)):
                out = module(out)
        return out

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """``(B, C, h, w)`` → ``(B, p)`` with ``pre_logits``, else ``(B, classes)``."""
        steps = self._head_steps()
        pools = any(isinstance(step, nn.AdaptiveAvgPool2d) for step in steps)
        flattens = any(isinstance(step, nn.Flatten) for step in steps)
        out = features if pools else features.mean(dim=(2, 3))
        for step in steps[:-1]:
            out = step(out)
            if isinstance(step, nn.AdaptiveAvgPool2d) and not flattens:
                out = out.flatten(1)
        if out.ndim == 4:
            out = out.flatten(1)
        return out if pre_logits else steps[-1](out)

    def get_classifier(self) -> nn.Module:
        """The linear head."""
        return self._head_steps()[-1]

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)``, normalised → ``(B, classes)``."""
        return self.body(images)

    def _head_steps(self) -> list[nn.Module]:
        return [step for name in self._head_parts for step in _in_order(getattr(self.body, name))]


def create_torchvision(spec: NetworkSpec, num_classes: int) -> TorchvisionNetwork:
    """The network of a ``torchvision:`` name; options are passed to torchvision's own builder.

    ``width_mult`` scales the three stages of a ShuffleNetV2 too, which torchvision has no word for.
    Raises ``UserError`` for pretrained weights that cannot be had; what torchvision raises for
    options that do not fit is passed on.
    """
    name = spec.name.removeprefix(TORCHVISION)
    body = _shufflenet(spec, name, num_classes) if name in SHUFFLENET_WIDTHS else None
    body = body or get_model(name, weights=None, num_classes=num_classes, **spec.options)
    weights = _weights(name)
    shown = weights.transforms()
    network = TorchvisionNetwork(body, list(shown.mean), list(shown.std))
    if not isinstance(network.get_classifier(), nn.Linear):
        raise UserError(f"{spec.name} does not end in a linear head; choose another network.")
    if spec.pretrained:
        _load_pretrained(network, weights, spec)
    return network


def shown_size(name: str) -> int:
    """The side in pixels of the images that the weights of ``torchvision:NAME`` were made for."""
    return int(_weights(name.removeprefix(TORCHVISION)).transforms().crop_size[0])


def _split(body: nn.Module) -> tuple[list[str], list[str]]:
    children = list(body.named_children())
    pools = [isinstance(module, nn.AdaptiveAvgPool2d) for _, module in children]
    at = pools.index(True) if any(pools) else len(children) - 1
    names = [name for name, _ in children]
    return names[:at], names[at:]


def _in_order(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        yield from module
    else:
        yield module


def _shufflenet(spec: NetworkSpec, name: str, num_classes: int) -> nn.Module:
    others = set(spec.options) - {"width_mult"}
    if others:
        raise UserError(
            f"{spec.name} has only the options width_mult and stem_stride; found "
            f"{', '.join(sorted(others))}."
        )
    width = spec.options.get("width_mult", 1.0)
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not 0.1 <= width <= 4:
        raise UserError(f"width_mult is {width!r}; give a number between 0.1 and 4.")
    stem, *stages, last = SHUFFLENET_WIDTHS[name]
    # Every stage is split into two branches of equal width, so its width must be even.
    stages = [max(2, 2 * round(channels * width / 2)) for channels in stages]
    return ShuffleNetV2(list(SHUFFLENET_REPEATS), [stem, *stages, last], num_classes=num_classes)


def _weights(name: str) -> Any:
    return get_model_weights(name)["DEFAULT"]


def _load_pretrained(network: TorchvisionNetwork, weights: Any, spec: NetworkSpec) -> None:
    try:
        tensors = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; a file with another hash
        raise UserError(
            f"The pretrained weights of {spec.name} could not be downloaded ({error}). Connect to "
            "the internet once, so that torchvision can cache them, or set pretrained: false."
        ) from error
    head = network.get_classifier()
    own = network.body.state_dict()
    ids = {id(parameter) for parameter in head.parameters()}
    heads = {name for name, value in network.body.named_parameters() if id(value) in ids}
    if any(tensors[name].shape != own[name].shape for name in heads):
        # In place: MNASNet asks a state dict for its version, which a copy would not have.
        tensors.update({name: own[name] for name in heads})
    try:
        network.body.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{spec.name} has pretrained weights only without options; found "
            f"{spec.options or 'none'}. Leave the options out, or set pretrained: false."
        ) from error
