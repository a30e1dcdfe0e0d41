"""One wrapper for every student and intermediate teacher: a timm classifier with its parts."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class NetworkOutput(NamedTuple):
    """What one forward pass gives: the last feature map, the pooled vector, the logits."""

    map: Tensor
    """``(B, C, h, w)``"""
    pooled: Tensor
    """``(B, p)``, the input of the linear head"""
    logits: Tensor
    """``(B, classes)``"""
