"""Dilated depthwise convolutions whose training is not slower than that of others on a CPU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class DilatedDepthwiseConv2d(nn.Conv2d):
    """``nn.Conv2d``; while it trains on a CPU, computed without dilation.

    oneDNN has no fast gradient for a dilated depthwise convolution. With dilation d, each pixel
    depends on those alone whose row and column are the same modulo d. So the images are parted
    into d x d images of their own, convolved without dilation and joined again: the same sums,
    added in another order.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self.training or input.device.type != "cpu":
            return super()._conv_forward(input, weight, bias)
        (images, channels, height, width), step = input.shape, self.dilation[0]
        padded = F.pad(input, (0, -width % step, 0, -height % step))
        rows, columns = padded.shape[2] // step, padded.shape[3] // step
        # Channels stay last in memory throughout, as the layout of a training has them.
        pixels = padded.permute(0, 2, 3, 1).reshape(images, rows, step, columns, step, channels)
        parts = pixels.permute(2, 4, 0, 1, 3, 5).reshape(-1, rows, columns, channels)
        padding = [(size - 1) // 2 for size in self.kernel_size]
        parts = F.conv2d(
            parts.permute(0, 3, 1, 2), weight, bias, padding=padding, groups=self.groups
        )
        parts = parts.permute(0, 2, 3, 1).reshape(step, step, images, rows, columns, -1)
        joined = parts.permute(2, 3, 0, 4, 1, 5).reshape(images, rows * step, columns * step, -1)
        return joined[:, :height, :width].permute(0, 3, 1, 2)


def use_fast_depthwise(model: nn.Module) -> None:
    """Let the dilated depthwise convolutions of a network be ``DilatedDepthwiseConv2d``."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _is_dilated_depthwise(module):
            module.__class__ = DilatedDepthwiseConv2d


def _is_dilated_depthwise(conv: nn.Conv2d) -> bool:
    same = tuple(d * (k - 1) / 2 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    return (
        conv.groups == conv.in_channels
        and conv.dilation[0] == conv.dilation[1] > 1
        and conv.stride == (1, 1)
        and conv.padding == same
        and conv.padding_mode == "zeros"
    )
