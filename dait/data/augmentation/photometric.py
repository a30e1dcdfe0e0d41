"""What becomes of a view's colours and sharpness; it must not depend on the view's batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.data.augmentation.draws import Draws


@dataclass(frozen=True)
class Jitter:
    """Ranges of factors, the largest turn of the hue either way in degrees, chances (fractions)
    of a grey and of a blurred view, and the blur's sigma in pixels of a 96-pixel image."""

    brightness: tuple[float, float]
    contrast: tuple[float, float]
    saturation: tuple[float, float]
    hue: float
    gray: float
    blur: float
    sigma: tuple[float, float]


# Saturation and hue in YIQ (NTSC, 1953): with M = RGB→YIQ, s the saturation and h the hue's angle,
# M⁻¹ · [1 ⊕ s·rotation(h)] · M = LUMA + s·cos h · CHROMA + s·sin h · TURN, all three constant.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_LUMA = _FROM_YIQ @ np.diag([1.0, 0.0, 0.0]) @ _TO_YIQ
_CHROMA = _FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ _TO_YIQ
_TURN = _FROM_YIQ @ np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]) @ _TO_YIQ


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor there; to a CUDA device from pinned memory, without waiting for it."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def mean_colours(images: Tensor) -> np.ndarray:
    """``(b, 3)`` float64 in [0, 1] of ``(b, h, w, 3)`` uint8: of every fourth row and column."""
    # Integer sums are exact in any order.
    sample = images[:, ::4, ::4].to(torch.int64)
    means: np.ndarray = sample.sum(dim=(1, 2)).cpu().numpy()
    return means / (sample.shape[1] * sample.shape[2] * 255)


def colour_matrices(draws: Draws, means: np.ndarray, jitter: Jitter) -> np.ndarray:
    """``(B, 3, 4)`` float32: colour matrices and offsets, from [0, 255] to [0, 1].

    means: as of ``mean_colours``; contrast pivots on their luminance.
    """
    brightness = draws.between("brightness", *jitter.brightness)
    contrast = draws.between("contrast", *jitter.contrast)
    saturation = draws.between("saturation", *jitter.saturation)
    saturation = np.where(draws.between("gray") < jitter.gray, 0.0, saturation)
    hues = draws.between("hue", -math.radians(jitter.hue), math.radians(jitter.hue)).tolist()
    # libm, one number at a time: a vectorised sine may round differently at its tail.
    cosine = saturation * np.array([math.cos(h) for h in hues])
    sine = saturation * np.array([math.sin(h) for h in hues])
    matrix = _LUMA + cosine[:, None, None] * _CHROMA + sine[:, None, None] * _TURN
    matrix = matrix * (brightness * contrast / 255)[:, None, None]
    luminance = 0.299 * means[:, 0] + 0.587 * means[:, 1] + 0.114 * means[:, 2]
    offset = (1 - contrast) * brightness * luminance
    offsets = np.broadcast_to(offset[:, None, None], (len(draws), 3, 1))
    return np.concatenate([matrix, offsets], axis=2).astype(np.float32)


def recolour(pixels: Tensor, matrices: Tensor) -> Tensor:
    """``(b, 3, S, S)`` in [0, 255] through the matrices ``(b, 3, 4)``, in [0, 1]."""
    found = torch.empty_like(pixels)
    weights = matrices[..., None, None]
    red, green, blue = pixels.unbind(dim=1)
    for channel in range(3):
        mixed = red * weights[:, channel, 0]
        mixed += green * weights[:, channel, 1]
        mixed += blue * weights[:, channel, 2]
        mixed += weights[:, channel, 3]
        torch.clamp(mixed, 0.0, 1.0, out=found[:, channel])
    return found


def blur(views: Tensor, draws: Draws, jitter: Jitter) -> None:
    """Blurs some of the views ``(B, 3, S, S)`` in place: a Gaussian, cut off at twice the largest
    sigma, as two passes of shifted, weighted sums over a mirrored border."""
    chosen = np.flatnonzero(draws.between("blur") < jitter.blur)
    if not len(chosen):
        return
    scale = views.shape[-1] / 96
    sigmas = (draws.between("sigma", *jitter.sigma)[chosen] * scale).tolist()
    radius = min(math.ceil(2 * jitter.sigma[1] * scale), views.shape[-1] - 1)
    taps = [[math.exp(-0.5 * (k / s) ** 2) for k in range(-radius, radius + 1)] for s in sigmas]
    weights = torch.tensor([[tap / sum(row) for tap in row] for row in taps])
    weights = sent(weights, views.device)[:, :, None, None, None]
    places = sent(torch.from_numpy(chosen), views.device)
    # One image at a time stays in a processor's cache; an accelerator wants them all.
    together = 1 if views.device.type == "cpu" else len(chosen)
    for start in range(0, len(chosen), together):
        part = slice(start, start + together)
        rows = places[part]
        pixels = views[rows]
        for dim, pad in ((3, (radius, radius, 0, 0)), (2, (0, 0, radius, radius))):
            padded, length = F.pad(pixels, pad, mode="reflect"), pixels.shape[dim]
            pixels = torch.zeros_like(pixels)
            shifted = torch.empty_like(pixels)
            for k in range(2 * radius + 1):
                # Not one fused step: its rounding may differ at the end of a row of pixels.
                torch.mul(padded.narrow(dim, k, length), weights[part, k], out=shifted)
                pixels += shifted
        views[rows] = pixels.clamp_(0.0, 1.0)
