"""One wrapper for every student and intermediate teacher: a classifier with its parts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.models.batchnorm import recalibrate_batchnorm
from dait.models.create import create_model, first_line, stride_refused
from dait.models.spec import NetworkSpec
from dait.models.start import start_from, weights_path

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
    """

    mean: Tensor
    std: Tensor
    model: Any  # timm's networks share their methods by habit, not by a class
    started_from: str = ""

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
        self._pools_patches = False
        self._dry_run()

    def forward(self, images: Tensor) -> NetworkOutput:
        """``(B, 3, H, W)`` float in [0, 1] → map ``(B, C, h, w)``, pooled ``(B, p)``, logits."""
        features = self.model.forward_features((images - self.mean) / self.std)
        view = self.map_view(features)
        pooled = self.model.forward_head(self.map_view.invert(view), pre_logits=True).flatten(1)
        logits = self._classify(pooled)
        if self.token_grid is not None:
            view = _tokens_to_map(view, self.token_grid, self.prefix_tokens)
        return NetworkOutput(view, pooled, logits)

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
        """The classifier: one head, or the two of a network made for distillation by a token."""
        found = self.model.get_classifier()
        heads = tuple(found) if isinstance(found, (tuple, list, nn.ModuleList)) else (found,)
        # timm's ClassifierHead pools too; its linear part is what reads the pooled vector.
        return tuple(getattr(head, "fc", head) for head in heads)

    def _classify(self, pooled: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of ``(B, p)``; two heads are averaged, as timm does in use."""
        logits = [_apply_head(head, pooled) for head in self.heads()]
        return logits[0] if len(logits) == 1 else torch.stack(logits).mean(dim=0)

    def heatmap_layer(self) -> nn.Module:
        """The module whose output Grad-CAM reads: the map of a CNN, the tokens of a transformer.

        For a transformer it is the last block's ``norm1``: after the last block a network that
        pools its class token has no gradient left in the others. One without such a norm that
        pools all its tokens is read at these. Raises ``UserError`` for a transformer with neither.
        """
        norm = self._last_norm() if self.token_grid is not None else None
        if norm is not None:
            return norm
        if self.token_grid is None or self._pools_patches:
            return self.map_view
        raise UserError(
            f"Heatmaps are not available for {self.spec.name}: it pools its class token, and its "
            "last block has no norm1. CNNs and the ViT, DeiT and EVA families have them."
        )

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        """``(rows, columns, prefix tokens)`` of a token output, or None for a CNN's map."""
        return None if self.token_grid is None else (*self.token_grid, self._heatmap_prefix)

    def _last_norm(self) -> nn.Module | None:
        blocks = getattr(self.model, "blocks", None)
        return getattr(blocks[-1], "norm1", None) if blocks is not None else None

    def _feels_patches(self, tokens: Tensor, pooled: Tensor) -> bool:
        """Whether the pooled vector depends on the patches' tokens, not on a class token alone."""
        changed = tokens.clone()
        changed[:, self.prefix_tokens :] = tokens[:, self.prefix_tokens :].roll(1, dims=-1)
        again = self.model.forward_head(changed, pre_logits=True).flatten(1)
        return not torch.allclose(again, pooled, rtol=1e-3, atol=1e-5)

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
            rows, columns = self.token_grid = _token_grid(self.model, size)
            if not hasattr(self.model, "num_prefix_tokens"):  # CoaT has one and does not say so
                self.prefix_tokens = int(features.shape[1] == rows * columns + 1)
            if features.shape[1] != rows * columns + self.prefix_tokens:
                raise UserError(
                    f"{self.spec.name} gives {features.shape[1]} tokens for a grid of {rows} × "
                    f"{columns}, so there is no map of where it looks; choose another network."
                )
        with self._watch_heatmap_tokens():
            output = self(images)
        if self.token_grid is not None:
            self._pools_patches = self._feels_patches(features, output.pooled)
        whole = self.model((images - self.mean) / self.std)
        same = isinstance(whole, Tensor) and whole.shape == output.logits.shape
        if not same or not torch.allclose(whole, output.logits, rtol=1e-4, atol=1e-5):
            raise UserError(
                f"{self.spec.name} cannot be taken apart into a feature map, a pooled vector and "
                "a head; choose another network."
            )
        self.map_channels = output.map.shape[1]
        self.map_size: tuple[int, int] = (output.map.shape[2], output.map.shape[3])
        self.pooled_width = output.pooled.shape[1]
        self.train(was_training)


def build_network(spec: NetworkSpec, num_classes: int, image_size: int) -> Network:
    """The network of ``spec`` with a head of ``num_classes``, for square images of ``image_size``.

    Weights are drawn from torch's global generator (seed it first), then replaced where
    ``spec.pretrained`` or ``spec.weights`` has others; ``network.started_from`` says so.
    Raises ``UserError`` when the network refuses the stride, an option or the image size, when it
    cannot be taken apart, and when weights cannot be had or do not fit.
    """
    if num_classes < 1:
        raise UserError(f"A classifier needs at least one class; found {num_classes}.")
    if not 16 <= image_size <= MAX_IMAGE_SIZE:
        raise UserError(
            f"Images of {image_size} px are not supported; choose 16 to {MAX_IMAGE_SIZE} px."
        )
    model = create_model(spec, num_classes, image_size)
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
            f"{spec.options or 'left at their defaults'} ({first_line(error)}). Check the "
            "options, or try a multiple of 32 px, or larger images."
        ) from error
    _check_stride(network)
    if spec.weights is not None:
        network.started_from = start_from(network, weights_path(spec.weights))
    elif spec.pretrained:
        network.started_from = f"the pretrained weights of {spec.name}"
    return network


def _apply_head(head: nn.Module, pooled: Tensor) -> Tensor:
    if isinstance(head, nn.Conv2d):  # DLA, DPN and ResNetV2 have a 1×1 convolution for a head
        return head(pooled[:, :, None, None]).flatten(1)
    return head(pooled)


def _check_stride(network: Network) -> None:
    asked = network.spec.output_stride
    if asked != 32 and network.map_size[0] < network.image_size // asked:
        raise stride_refused(network.spec)


def _token_grid(model: Any, size: int) -> tuple[int, int]:
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if grid is None:
        # Each halving rounds up, as a convolution with padding does.
        side = -(-size // int(model.feature_info[-1]["reduction"]))
        grid = (side, side)
    return int(grid[0]), int(grid[1])


def _tokens_to_map(tokens: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    patches = tokens[:, prefix:].transpose(1, 2)
    return patches.reshape(tokens.shape[0], tokens.shape[2], *grid)
