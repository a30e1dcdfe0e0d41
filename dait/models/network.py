"""One wrapper for every student and intermediate teacher: a timm classifier with its parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.models.batchnorm import recalibrate_batchnorm
from dait.models.shufflenet import create_shufflenet
from dait.models.spec import TORCHVISION_NETWORKS, NetworkSpec

__all__ = [
    "Network",
    "NetworkOutput",
    "NetworkSpec",
    "build_network",
    "recalibrate_batchnorm",
]

MAX_IMAGE_SIZE = 1024


class NetworkOutput(NamedTuple):
    """What one forward pass gives: the last feature map, the pooled vector, the logits."""

    map: Tensor
    """``(B, C, h, w)``"""
    pooled: Tensor
    """``(B, p)``, the input of the linear head"""
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
    """A classifier in parts: normalisation, features, pooled vector, linear head.

    Attributes, found by one dry run: ``map_channels``, ``map_size`` (rows, columns),
    ``pooled_width``, ``num_classes``, ``image_size``, ``spec``; ``model`` is the library's own
    network. ``mean`` and ``std`` are buffers of shape ``(1, 3, 1, 1)``, saved with the weights.
    """

    mean: Tensor
    std: Tensor
    model: Any  # timm's networks share their methods by habit, not by a class

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
        self._dry_run()

    def forward(self, images: Tensor) -> NetworkOutput:
        """``(B, 3, H, W)`` float in [0, 1] → map ``(B, C, h, w)``, pooled ``(B, p)``, logits."""
        features = self.model.forward_features((images - self.mean) / self.std)
        view = self.map_view(features)
        pooled = self.model.forward_head(self.map_view.invert(view), pre_logits=True)
        logits = self.model.get_classifier()(pooled)
        if self.token_grid is not None:
            view = _tokens_to_map(view, self.token_grid, self.prefix_tokens)
        return NetworkOutput(view, pooled, logits)

    def heatmap_layer(self) -> nn.Module:
        """The module whose output Grad-CAM reads: the map of a CNN, the tokens of a transformer.

        For a transformer it is the last block's ``norm1``: after the last block a network that
        pools its class token has no gradient left in the others. Raises ``UserError`` for a
        transformer without one.
        """
        if self.token_grid is None:
            return self.map_view
        norm = self._last_norm()
        if norm is None:
            raise UserError(
                f"Heatmaps are not available for {self.spec.name}: its last block has no norm1. "
                "CNNs and the ViT, DeiT and EVA families have them."
            )
        return norm

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        """``(rows, columns, prefix tokens)`` of a token output, or None for a CNN's map."""
        return None if self.token_grid is None else (*self.token_grid, self._heatmap_prefix)

    def _last_norm(self) -> nn.Module | None:
        blocks = getattr(self.model, "blocks", None)
        return getattr(blocks[-1], "norm1", None) if blocks is not None else None

    @contextmanager
    def _watch_heatmap_tokens(self) -> Iterator[None]:
        """Count the tokens before the patches at the heatmap's layer.

        XCiT adds its class token only after its blocks, so the last features do not tell.
        """
        self._heatmap_prefix = self.prefix_tokens
        norm = self._last_norm()
        if self.token_grid is None or norm is None:
            yield
            return
        patches = self.token_grid[0] * self.token_grid[1]

        def count(module: nn.Module, args: tuple[Tensor, ...], tokens: Tensor) -> None:
            self._heatmap_prefix = tokens.shape[1] - patches

        handle = norm.register_forward_hook(count)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def _dry_run(self) -> None:
        was_training = self.training
        # eval mode leaves BatchNorm's statistics alone and draws nothing at random.
        self.eval()
        size = self.image_size
        images = torch.linspace(0, 1, 3 * size * size).view(1, 3, size, size)
        images = images.to(self.mean.device)
        features = self.model.forward_features((images - self.mean) / self.std)
        if not isinstance(features, Tensor) or features.ndim not in (3, 4):
            raise UserError(f"{self.spec.name} gives no single feature map; choose another.")
        if features.ndim == 3:
            self.token_grid = _token_grid(self.model, features, self.prefix_tokens, size)
        with self._watch_heatmap_tokens():
            output = self(images)
        whole = self.model((images - self.mean) / self.std)
        same = isinstance(whole, Tensor) and whole.shape == output.logits.shape
        if not same or not torch.allclose(whole, output.logits, rtol=1e-4, atol=1e-5):
            raise UserError(
                f"{self.spec.name} cannot be taken apart into a feature map, a pooled vector and "
                "a linear head; choose another network."
            )
        self.map_channels = output.map.shape[1]
        self.map_size: tuple[int, int] = (output.map.shape[2], output.map.shape[3])
        self.pooled_width = output.pooled.shape[1]
        self.train(was_training)


def build_network(spec: NetworkSpec, num_classes: int, image_size: int) -> Network:
    """The network of ``spec`` with a head of ``num_classes``, for square images of ``image_size``.

    Weights are drawn from torch's global generator (seed it first) unless ``spec.pretrained``.
    Raises ``UserError`` when the network refuses the stride, an option or the image size, when it
    has no single linear head, and when pretrained weights cannot be had.
    """
    if num_classes < 1:
        raise UserError(f"A classifier needs at least one class; found {num_classes}.")
    if not 16 <= image_size <= MAX_IMAGE_SIZE:
        raise UserError(
            f"Images of {image_size} px are not supported; choose 16 to {MAX_IMAGE_SIZE} px."
        )
    model = _create(spec, num_classes, image_size)
    if not isinstance(model.get_classifier(), nn.Linear):
        raise UserError(
            f"{spec.name} does not end in one linear head (some distilled networks have two); "
            "choose another network."
        )
    try:
        network = Network(model, spec, num_classes, image_size)
    except (
        RuntimeError,
        AssertionError,
        AttributeError,
        IndexError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(
            f"{spec.name} does not run on images of {image_size} px with the options "
            f"{spec.options or 'left at their defaults'} ({_first_line(error)}). Check the "
            "options, or try a multiple of 32 px, or larger images."
        ) from error
    _check_stride(network)
    return network


def _create(spec: NetworkSpec, num_classes: int, image_size: int) -> Any:
    if spec.name in TORCHVISION_NETWORKS:
        if spec.output_stride != 32:
            raise _stride_refused(spec)
        return create_shufflenet(spec, num_classes)
    import timm

    options = dict(spec.options)
    if options.get("img_size", image_size) != image_size:
        raise UserError(
            f"{spec.name} has img_size {options['img_size']} but the images have {image_size} px; "
            "leave img_size out."
        )
    # Transformers must know the size of their images; CNNs do not take the word.
    options.pop("img_size", None)
    if timm.get_pretrained_cfg_value(spec.name, "fixed_input_size"):
        options["img_size"] = image_size
    if spec.output_stride != 32:
        options["output_stride"] = spec.output_stride
    try:
        return timm.create_model(
            spec.name, pretrained=spec.pretrained, num_classes=num_classes, **options
        )
    except OSError as error:
        raise UserError(
            f"The pretrained weights of {spec.name} are not on this machine and could not be "
            f"downloaded ({_first_line(error)}). Connect to the internet once, so that timm can "
            "cache them, or set pretrained: false."
        ) from error
    except (TypeError, AssertionError, NotImplementedError, ValueError, RuntimeError) as error:
        if spec.output_stride != 32 and _is_about_stride(error):
            raise _stride_refused(spec) from error
        named = [key for key in spec.options if f"'{key}'" in str(error)]
        what = f"the option {named[0]}" if named else f"the options {spec.options or 'none'}"
        raise UserError(
            f"{spec.name} could not be built with {what} ({_first_line(error)}). Leave out what it "
            "does not take."
        ) from error


def _is_about_stride(error: Exception) -> bool:
    return "output_stride" in str(error) or isinstance(error, AssertionError)


def _stride_refused(spec: NetworkSpec) -> UserError:
    return UserError(
        f"{spec.name} cannot be dilated to output_stride {spec.output_stride}. ResNet, RegNet, "
        "MobileNetV2, EfficientNet(-Lite), RepVGG and ConvNeXt can; ShuffleNetV2, MobileNetV3 and "
        "V4, LCNet, GhostNet and transformers cannot. Keep output_stride 32 and use larger images "
        "for a larger map, or choose another network."
    )


def _check_stride(network: Network) -> None:
    asked = network.spec.output_stride
    if asked != 32 and network.map_size[0] < network.image_size // asked:
        raise _stride_refused(network.spec)


def _token_grid(model: Any, tokens: Tensor, prefix: int, size: int) -> tuple[int, int]:
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if grid is None:
        reduction = int(model.feature_info[-1]["reduction"])
        grid = (size // reduction, size // reduction)
    rows, columns = int(grid[0]), int(grid[1])
    if rows * columns + prefix != tokens.shape[1]:
        raise ValueError(f"{tokens.shape[1]} tokens do not fill a grid of {rows} × {columns}")
    return rows, columns


def _tokens_to_map(tokens: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    patches = tokens[:, prefix:].transpose(1, 2)
    return patches.reshape(tokens.shape[0], tokens.shape[2], *grid)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
