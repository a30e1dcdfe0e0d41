"""The demo teacher's image tower: a small ViT whose patches come from a few convolutions.

A convolutional stem lets a ViT learn from far fewer images (Xiao et al. 2021, "Early Convolutions
Help Transformers See Better"), which is what a teacher trained on two CPU cores needs.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

STRIDE = 16


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x + self.block(x))


def _halve(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


class ConvolutionalPatches(nn.Module):
    """``(B, 3, S, S)`` → ``(B, (S / 16)², embed_dim)``, in place of timm's ``PatchEmbed``.

    Small parts are read at an eighth of the resolution, where convolutions are cheap; the
    transformer then has a quarter of the tokens to attend to.
    """

    def __init__(self, img_size: int = 96, embed_dim: int = 192, **_: Any) -> None:
        super().__init__()
        side = img_size if isinstance(img_size, int) else img_size[0]
        self.img_size = (side, side)
        self.patch_size = (STRIDE, STRIDE)
        self.grid_size = (side // STRIDE, side // STRIDE)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.proj = nn.Sequential(
            *_halve(3, 24),
            *_halve(24, 48),
            _Residual(48),
            *_halve(48, 112),
            _Residual(112),
            *_halve(112, embed_dim),
            nn.Conv2d(embed_dim, embed_dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


@register_model
def fieldguide_vit16(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """timm's entry point, as OpenCLIP calls it: average pooling, no class token, no head."""
    model: Any = VisionTransformer(
        img_size=kwargs.get("img_size") or 96,
        patch_size=STRIDE,
        embed_dim=192,
        depth=4,
        num_heads=6,
        num_classes=0,
        class_token=False,
        global_pool="avg",
        embed_layer=ConvolutionalPatches,
    )
    model.default_cfg = model.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    return model
