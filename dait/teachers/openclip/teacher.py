"""Frozen OpenCLIP models as teachers, however they were loaded (see ``openclip_load``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dait.errors import UserError

CHUNK = 256
"""Images or sentences encoded at once: bounds the memory, whatever the caller's batch."""

CPU_CHUNK = 32
"""Images encoded at once on a CPU: what they need then stays in memory the process already has,
and near the processor. `python -m dait bench embed`: 0.87 of a bare loop's speed before, 1.0 so."""


class OpenClipTeacher(nn.Module):
    """A ``FrozenTeacher`` (see ``dait.teachers.base``) over any OpenCLIP model.

    mean, std: of the model's own preprocessing; tokenizer: sentences to ``(n, context)`` ids;
    interpolation: how images were resized for it, ``bicubic`` or ``bilinear``.
    """

    reads_text = True
    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Callable[[list[str]], Tensor],
        mean: Sequence[float],
        std: Sequence[float],
        weights_hash: str = "unsaved",
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__()
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self.weights_hash = weights_hash
        self.mean, self.std = tuple(mean), tuple(std)
        self.interpolation = interpolation
        self.image_size = _image_size(model.visual)
        self.register_buffer("_mean", torch.tensor(self.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std).view(1, 3, 1, 1), persistent=False)
        self.dim = self._dry_run()

    @property
    def logit_scale(self) -> float:
        return float(self.model.logit_scale.exp())

    @property
    def logit_bias(self) -> float:
        """What SigLIP adds to every zero-shot logit (Zhai et al. 2023), 0 for the others.

        It is the same for every class, so that a softmax, all that the method takes of the
        logits, is the same without it.
        """
        bias = getattr(self.model, "logit_bias", None)
        return 0.0 if bias is None else float(bias)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        seen = resized(images, self.image_size, self.interpolation)
        pixels = (seen - self._mean).div_(self._std)  # in place: memory is what this costs
        return nn.functional.normalize(self.model.encode_image(pixels), dim=-1)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        chunk = CHUNK if images.device.type != "cpu" else min(CHUNK, CPU_CHUNK)
        return torch.cat([self.embed_with_gradient(part) for part in images.split(chunk)])

    @torch.no_grad()
    def embed_text(self, sentences: list[str]) -> Tensor:
        tokens = self.tokenizer(sentences).to(self._mean.device)
        rows = [self.model.encode_text(part) for part in tokens.split(CHUNK)]
        return nn.functional.normalize(torch.cat(rows), dim=-1)

    def heatmap_layer(self) -> nn.Module:
        visual = self.model.visual
        trunk = getattr(visual, "trunk", None)
        if trunk is not None:
            if hasattr(trunk, "blocks") and hasattr(trunk.blocks[-1], "norm1"):
                return trunk.blocks[-1].norm1
            return trunk.get_submodule(trunk.feature_info[-1]["module"])
        if hasattr(visual, "transformer"):
            return visual.transformer.resblocks[-1].ln_1
        if hasattr(visual, "layer4"):
            return visual.layer4
        raise UserError(f"Heatmaps of {self.name} are not supported: its image tower is unknown.")

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        visual = self.model.visual
        trunk = getattr(visual, "trunk", None)
        if trunk is not None:
            if not hasattr(trunk, "blocks") or not hasattr(trunk, "patch_embed"):
                return None
            rows, columns = trunk.patch_embed.grid_size
            return int(rows), int(columns), int(trunk.num_prefix_tokens)
        if hasattr(visual, "transformer"):
            rows, columns = visual.grid_size
            return int(rows), int(columns), 1
        return None

    def _dry_run(self) -> int:
        was_training = self.model.training
        self.model.eval()
        width = self.embed(torch.zeros(1, 3, self.image_size, self.image_size)).shape[1]
        self.model.train(was_training)
        return int(width)


def resized(images: Tensor, size: int, interpolation: str) -> Tensor:
    """``(B, 3, H, W)`` in [0, 1] → ``(B, 3, size, size)`` in [0, 1], squashed if not square."""
    if images.shape[-2:] == (size, size):
        return images
    mode = "bicubic" if interpolation == "bicubic" else "bilinear"
    new = nn.functional.interpolate(images, (size, size), mode=mode, antialias=True)
    return new.clamp(0, 1)  # bicubic overshoots at edges


def _image_size(visual: Any) -> int:
    # A timm tower knows its own size; ViTamin-XL-384's configuration says 256 and is wrong.
    patches = getattr(getattr(visual, "trunk", None), "patch_embed", None)
    size = getattr(patches, "img_size", None) or visual.image_size
    return int(size if isinstance(size, int) else size[0])
