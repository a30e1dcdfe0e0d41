"""One wrapper for every student and intermediate teacher: a classifier with its parts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.models.batchnorm import recalibrate_batchnorm
from dait.models.catalogue import TORCHVISION
from dait.models.create import create_model, first_line, own_size, stride_refused, takes_size
from dait.models.depthwise import use_fast_depthwise
from dait.models.heads import HeadMix
from dait.models.heatmap_layer import Grid, find_heatmap_layer
from dait.models.packages import PACKAGE, weights_package
from dait.models.spec import NetworkSpec
from dait.models.start import start_from, start_from_package, weights_path

__all__ = [
    "Network",
    "NetworkOutput",
    "NetworkSpec",
    "build_network",
    "recalibrate_batchnorm",
]

MAX_IMAGE_SIZE = 1024

REFUSALS: tuple[type[Exception], ...] = (
    *(AssertionError, AttributeError, IndexError, NotImplementedError, RuntimeError),
    *(TypeError, ValueError, ZeroDivisionError),
)
"""What libraries raise for an option or a size that a network does not take."""

_TRIED = frozenset(range(32, 545, 32))
"""Sizes tried, in pixels, beside the network's own, in search of one that works."""


class NetworkOutput(NamedTuple):
    """What one forward pass gives: the last feature map, the pooled vector, the logits."""

    map: Tensor
    """``(B, C, h, w)``"""
    pooled: Tensor
    """``(B, p)``, the input of the head"""
    logits: Tensor
    """``(B, classes)``"""


_CHANNELS_LAST = ("NHWC", "Format.NHWC")


class _MapView(nn.Module):
    """The library's last features as ``(B, C, h, w)``, and back, so that the head hangs on it.

    That the logits are computed *from* this module's output is what lets Grad-CAM read it.
    """

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.channels_last = channels_last

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 3, 1, 2) if self.channels_last else features

    def invert(self, view: Tensor) -> Tensor:
        return view.permute(0, 2, 3, 1) if self.channels_last else view


class Network(nn.Module):
    """A classifier in parts: normalisation, features, pooled vector, head.

    Attributes, found by one dry run: ``map_channels``, ``map_size`` (rows, columns),
    ``pooled_width``, ``num_classes``, ``image_size``, ``spec``; ``model`` is the library's own
    network. ``mean`` and ``std`` are buffers of shape ``(1, 3, 1, 1)``, saved with the weights.
    ``started_from`` says in a sentence which weights it began with; empty for random ones.
    ``mix`` adds a second head's answer to the logits, where a training ended with two.

    A network on torch's meta device has its shapes checked alone: it has no ``heatmap_layer``.
    """

    mean: Tensor
    std: Tensor
    model: Any  # timm's networks share their methods by habit, not by a class
    started_from: str = ""
    mix: HeadMix | None

    def __init__(self, model: Any, spec: NetworkSpec, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        self.num_classes = num_classes
        self.image_size = image_size
        config = model.pretrained_cfg
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1))
        self.prefix_tokens = int(getattr(model, "num_prefix_tokens", 0) or 0)
        # Swin and its kin say NHWC themselves; nothing in a tensor's shape tells it for sure.
        self.map_view = _MapView(str(getattr(model, "output_fmt", "NCHW")) in _CHANNELS_LAST)
        self.token_grid: tuple[int, int] | None = None
        self._asks_for_map = False
        self._heads_read_pooled = True
        self._heatmap: tuple[str, Grid | None] | None = None
        self.mix = None
        self._dry_run()

    def forward(self, images: Tensor) -> NetworkOutput:
        """``(B, 3, H, W)`` float in [0, 1] → map ``(B, C, h, w)``, pooled ``(B, p)``, logits."""
        return self._output(*self._features((images - self.mean) / self.std))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """As torch's; tensors without torch's own notes are taken to be laid out as ours are.

        A safetensors file keeps no such notes, and MNASNet refuses to be loaded without a version.
        """
        if getattr(state_dict, "_metadata", None) is None:
            noted: Any = OrderedDict(state_dict)
            noted._metadata = self.state_dict()._metadata  # type: ignore[attr-defined]
            state_dict = noted
        return super().load_state_dict(state_dict, *args, **options)

    def heads(self) -> tuple[nn.Module, ...]:
        """The classifier: one head, or several, as those of a network with a distillation token."""
        named = self.model.pretrained_cfg.get("classifier") or ()  # VOLO names a second one here
        names = (named,) if isinstance(named, str) else tuple(named)
        others = [module for name, module in self.model.named_modules() if name in names]
        return tuple(dict.fromkeys([*self._linear_heads(), *others]))

    def backbone_parameters(self) -> list[nn.Parameter]:
        """All but the classifier's."""
        head = {id(weight) for part in self.heads() for weight in part.parameters()}
        return [weight for weight in self.parameters() if id(weight) not in head]

    def _linear_heads(self) -> tuple[nn.Module, ...]:
        found = self.model.get_classifier()
        heads = tuple(found) if isinstance(found, (tuple, list, nn.ModuleList)) else (found,)
        # timm's ClassifierHead pools too; its linear part is what reads the pooled vector.
        return tuple(getattr(head, "fc", head) for head in heads)

    def _features(self, pixels: Tensor) -> tuple[Any, Tensor]:
        """What the head reads, and the last map ``(B, C, h, w)``."""
        if self._asks_for_map:
            features, maps = self.model.forward_intermediates(pixels, indices=1, output_fmt="NCHW")
            return features, maps[-1]
        return self._viewed(self.model.forward_features(pixels))

    def _viewed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        view = self.map_view(features)
        features = self.map_view.invert(view)
        if self.token_grid is not None:
            view = _tokens_to_map(view, self.token_grid, self.prefix_tokens)
        return features, view

    def _output(self, features: Any, view: Tensor) -> NetworkOutput:
        pooled = self.model.forward_head(features, pre_logits=True).flatten(1)
        if self._heads_read_pooled:
            logits = self._classify(pooled)
        else:
            logits = self.model.forward_head(features)
        if self.mix is not None:
            logits = self.mix(pooled, logits)
        return NetworkOutput(view, pooled, logits)

    def _classify(self, pooled: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of ``(B, p)``; two heads are averaged, as timm does in use."""
        logits = [_apply_head(head, pooled) for head in self._linear_heads()]
        return logits[0] if len(logits) == 1 else torch.stack(logits).mean(dim=0)

    def heatmap_layer(self) -> nn.Module:
        """The module whose output Grad-CAM reads: the map of a CNN, the tokens of a transformer.

        For a transformer it is the last block's ``norm1`` (after the last block a network that
        pools its class token has no gradient left in the others), or else the last layer that has
        a gradient at most of its positions. Raises ``UserError`` where there is none.
        """
        if self._heatmap is None:
            raise UserError(
                f"Heatmaps are not available for {self.spec.name}: no layer of it gives one map "
                "that its answer depends on. `python -m dait networks` lists others."
            )
        return self.get_submodule(self._heatmap[0])

    def heatmap_grid(self) -> Grid | None:
        """``(rows, columns, prefix tokens)`` of a token output, or None for a CNN's map."""
        return None if self._heatmap is None else self._heatmap[1]

    @torch.no_grad()
    def _dry_run(self) -> None:
        was_training = self.training
        # eval mode leaves BatchNorm's statistics alone and draws nothing at random.
        self.eval()
        size = self.image_size
        images = torch.linspace(0, 1, 3 * size * size, device=self.mean.device)
        images = images.view(1, 3, size, size)
        pixels = (images - self.mean) / self.std
        features = self.model.forward_features(pixels)
        if self._has_map(features):
            parts = self._viewed(features)
        elif hasattr(self.model, "forward_intermediates"):
            self._asks_for_map = True
            parts = self._features(pixels)
        else:
            raise UserError(f"{self.spec.name} gives no feature map; choose another network.")
        shapes_alone = self.mean.device.type == "meta"
        with _filled(self.heads()):
            output = self._checked(parts, None if shapes_alone else self.model(pixels))
            if self.token_grid is None and not self._asks_for_map:
                self._heatmap = "map_view", None
            elif not shapes_alone:
                self._heatmap = find_heatmap_layer(self, "model", images)
        self.map_channels = output.map.shape[1]
        self.map_size: tuple[int, int] = (output.map.shape[2], output.map.shape[3])
        self.pooled_width = output.pooled.shape[1]
        self.train(was_training)

    def _has_map(self, features: object) -> bool:
        """Whether the features that the head reads are one map, or the tokens of one."""
        if not isinstance(features, Tensor) or features.ndim not in (3, 4):
            return False
        if features.ndim == 4:
            return True
        grid = _token_grid(self.model, self.image_size)
        if grid is None:
            return False
        if not hasattr(self.model, "num_prefix_tokens"):  # CoaT has one and does not say so
            self.prefix_tokens = int(features.shape[1] == grid[0] * grid[1] + 1)
        if features.shape[1] != grid[0] * grid[1] + self.prefix_tokens:
            return False
        self.token_grid = grid
        return True

    def _checked(self, parts: tuple[Any, Tensor], whole: Tensor | None) -> NetworkOutput:
        """The output of ``_features``, once it is known to hold the library's logits, ``whole``.

        Most heads read the pooled vector. Where each reads another token, the library applies them.
        """
        try:
            output = self._output(*parts)
        except RuntimeError:  # the heads read something of another width than the pooled vector
            output = None
        if output is None or not (whole is None or _alike(whole, output.logits)):
            self._heads_read_pooled = False
            output = self._output(*parts)
        if whole is None or _alike(whole, output.logits):
            return output
        raise UserError(
            f"{self.spec.name} cannot be taken apart into a feature map, a pooled vector and a "
            "head; choose another network."
        )


def build_network(spec: NetworkSpec, num_classes: int, image_size: int) -> Network:
    """The network of ``spec`` with a head of ``num_classes``, for square images of ``image_size``.

    Weights are drawn from torch's global generator (seed it first), then replaced where
    ``spec.pretrained`` or ``spec.weights`` has others; ``network.started_from`` says so.
    Raises ``UserError`` when the network refuses the stride, an option or the image size (then it
    says which size would do), when it cannot be taken apart, and when weights cannot be had or do
    not fit.
    """
    if num_classes < 1:
        raise UserError(f"A classifier needs at least one class; found {num_classes}.")
    if not 16 <= image_size <= MAX_IMAGE_SIZE:
        raise UserError(
            f"Images of {image_size} px are not supported; choose 16 to {MAX_IMAGE_SIZE} px."
        )
    try:
        model = create_model(spec, num_classes, image_size)
        use_fast_depthwise(model)
        network = _split(model, spec, num_classes, image_size)
    except REFUSALS as error:
        raise _refusal(spec, image_size, error) from error
    if spec.weights is not None and spec.weights.startswith(PACKAGE):
        package = weights_package(spec.weights)
        network.started_from = start_from_package(network, network.heads(), package)
    elif spec.weights is not None:
        path = weights_path(spec.weights)
        network.started_from = start_from(network, spec.name, network.heads(), path)
    elif spec.pretrained:
        network.started_from = f"the pretrained weights of {spec.name}"
    return network


def shapes_at(spec: NetworkSpec, num_classes: int, sizes: Iterable[int]) -> Iterator[Network]:
    """The network on torch's meta device, at those of ``sizes`` (pixels) that it takes.

    It has shapes and no memory, whatever its size; weights are neither read nor fetched.
    """
    bare = spec.model_copy(update={"pretrained": False, "weights": None})
    model = None
    for size in sizes:
        try:
            if model is None or takes_size(spec.name):
                model = _without_memory(bare, num_classes, size)
            with torch.device("meta"):
                network = _split(model, spec, num_classes, size)
        except UserError:
            continue
        except REFUSALS:
            continue
        yield network


def _without_memory(spec: NetworkSpec, num_classes: int, size: int) -> Any:
    """The library's network on the meta device."""
    if spec.name.startswith(TORCHVISION):
        # Its RegNets compute their widths with tensors, which have no values there.
        return create_model(spec, num_classes, size).to("meta")
    with torch.device("meta"):
        return create_model(spec, num_classes, size)


def _works(spec: NetworkSpec, sizes: Iterable[int]) -> int | None:
    """The first of ``sizes`` that the network takes."""
    return next((network.image_size for network in shapes_at(spec, 2, sizes)), None)


def _split(model: Any, spec: NetworkSpec, num_classes: int, image_size: int) -> Network:
    network = Network(model, spec, num_classes, image_size)
    if spec.output_stride != 32 and network.map_size[0] < image_size // spec.output_stride:
        raise stride_refused(spec)
    return network


def _refusal(spec: NetworkSpec, image_size: int, error: Exception) -> UserError:
    """Why a network cannot be built, and what can be instead: found by trying."""
    why = first_line(error)
    undilated = spec.model_copy(update={"output_stride": 32})
    if spec.output_stride != 32 and _works(undilated, [image_size]):
        return stride_refused(spec)
    plain = spec.model_copy(update={"options": {}})
    if spec.options and _works(plain, [image_size]):
        named = [key for key in spec.options if f"'{key}'" in str(error)]
        what = f"the option {named[0]}" if named else f"the options {spec.options}"
        return UserError(
            f"{spec.name} cannot be built with {what} ({why}). Without options it can, at "
            f"{image_size} px: leave out or change what it does not take."
        )
    own = own_size(spec.name)
    near = sorted(_TRIED | {own // 2, own, 2 * own}, key=lambda size: abs(size - image_size))
    size = _works(spec, near)
    if size is None:
        return UserError(
            f"{spec.name} cannot be built, for images of {image_size} px or any other size tried "
            f"({why}). Choose another network: `python -m dait networks` lists some."
        )
    made_for = "" if size == own else f"; it was made for {own} px"
    return UserError(
        f"{spec.name} does not take images of {image_size} px ({why}). The nearest size that "
        f"works is {size} px{made_for}."
    )


@contextmanager
def _filled(heads: tuple[nn.Module, ...]) -> Iterator[None]:
    """Other weights in the heads, for a moment.

    A head that starts at zero would fit whatever it is applied to, and give no gradient.
    """
    kept = [(weight, weight.clone()) for head in heads for weight in head.parameters()]
    try:
        for number, (weight, _) in enumerate(kept, start=1):
            weight.copy_(torch.linspace(-1, number, weight.numel()).view_as(weight))
        yield
    finally:
        for weight, before in kept:
            weight.copy_(before)


def _alike(whole: object, logits: Tensor) -> bool:
    if not isinstance(whole, Tensor) or whole.shape != logits.shape:
        return False
    return torch.allclose(whole, logits, rtol=1e-4, atol=1e-4 * float(whole.abs().amax()))


def _apply_head(head: nn.Module, pooled: Tensor) -> Tensor:
    if isinstance(head, nn.Conv2d):  # DLA, DPN and ResNetV2 have a 1×1 convolution for a head
        return head(pooled[:, :, None, None]).flatten(1)
    return head(pooled)


def _token_grid(model: Any, size: int) -> tuple[int, int] | None:
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if grid is not None:
        return int(grid[0]), int(grid[1])
    stages = getattr(model, "feature_info", None)
    if not stages:
        return None
    # Each halving rounds up, as a convolution with padding does.
    side = -(-size // int(stages[-1]["reduction"]))
    return side, side


def _tokens_to_map(tokens: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    patches = tokens[:, prefix:].transpose(1, 2)
    return patches.reshape(tokens.shape[0], tokens.shape[2], *grid)
