"""Dilated depthwise convolutions in training: the same sums as torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dait.models.depthwise import DilatedDepthwiseConv2d, use_fast_depthwise
from dait.models.network import NetworkSpec, build_network


@pytest.mark.parametrize(
    ("size", "kernel", "dilation", "bias"),
    [((7, 7), 5, 2, False), ((8, 5), 3, 2, True), ((9, 10), 3, 4, False), ((1, 3), 5, 2, True)],
)
def test_it_trains_as_torch_does(
    size: tuple[int, int], kernel: int, dilation: int, bias: bool
) -> None:
    torch.manual_seed(0)
    padding = dilation * (kernel - 1) // 2
    plain = nn.Conv2d(6, 12, kernel, 1, padding, dilation, groups=6, bias=bias).double()
    fast = copy.deepcopy(plain)
    use_fast_depthwise(nn.Sequential(fast))
    assert isinstance(fast, DilatedDepthwiseConv2d)
    images = torch.randn(2, 6, *size, dtype=torch.float64)
    found = []
    for conv in (plain, fast):
        pixels = images.clone().requires_grad_()
        output = conv(pixels)
        (output * torch.arange(output.numel()).view_as(output)).sum().backward()
        found.append([output, pixels.grad, *(weight.grad for weight in conv.parameters())])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)


def test_other_convolutions_stay_as_they_are() -> None:
    others = [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, stride=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, padding_mode="reflect"),
    ]
    use_fast_depthwise(nn.Sequential(*others))
    assert {type(conv) for conv in others} == {nn.Conv2d}


def test_a_network_with_an_output_stride_has_them() -> None:
    def dilated(stride: int) -> int:
        network = build_network(NetworkSpec(name="efficientnet_lite0", output_stride=stride), 3, 64)
        return sum(isinstance(part, DilatedDepthwiseConv2d) for part in network.modules())

    assert dilated(16) > 0
    assert dilated(32) == 0
