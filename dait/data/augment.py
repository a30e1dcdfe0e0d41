"""Augmented views that can be replayed.

A view is named by ``(seed, image index, view number)`` and by nothing else: its crop, flip,
rotation and colours come from a counter-based generator keyed by these three, so the pixels are
bit for bit the same whatever batch the image sits in, in whatever order, in whatever process. A
teacher's answer for a view can therefore be computed once, stored, and met again by a student that
asks for the same view much later (the scheme of FKD, Shen & Xing 2022, and of TinyViT, Wu et al.
2022), and a run that resumes sees what it would have seen.

Two rules keep this true. Parameters are drawn per image, never from a stream shared by the batch.
Pixels go through element-wise arithmetic and one ``grid_sample`` only: matrix products and
floating-point sums may group their terms differently for another batch size. Across torch versions
or kinds of processor the last bits may differ, which is why ``ViewPolicy.fingerprint`` names the
torch version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.data.base import ViewKind
from dait.errors import UserError

AUGMENT_VERSION = 1
"""Raised whenever any pixel of any view changes: stored teacher outputs are then recomputed."""

# Every random number of a view has its own counter, so adding one at the end moves no other.
_SLOTS = (
    *("area", "ratio", "x", "y", "flip", "angle"),
    *("brightness", "contrast", "saturation", "hue", "gray", "blur", "sigma"),
)
_SLOT = {name: number for number, name in enumerate(_SLOTS)}

# Images are handled a few at a time so that they stay in the processor's cache (twice as fast).
_CHUNK = 16

_RATIO = 4 / 3  # crops are at most this much wider than high, or the other way round
_MAX_SIGMA = 1.2  # of the blur, in pixels of a 96-pixel image


@dataclass(frozen=True)
class ViewPolicy:
    """What may happen to a view; the ranges are our choice.

    ``original``: nothing. ``light``: a random resized crop of 70 to 100 % of the area and a flip.
    ``full``: a crop of 40 to 100 %, a flip, a rotation of up to ±15°, brightness and contrast ×0.7
    to ×1.3, saturation ×0.6 to ×1.4, hue ±10°, one view in ten grey, one in ten blurred.

    Raises ``UserError`` for an unknown kind.
    """

    kind: ViewKind = "light"

    def __post_init__(self) -> None:
        if self.kind not in get_args(ViewKind):
            known = ", ".join(get_args(ViewKind))
            raise UserError(f"There is no kind of view called ‘{self.kind}’. Use one of: {known}.")

    @property
    def fingerprint(self) -> str:
        """Names the pixels this policy gives; part of the key of a stored teacher output."""
        return f"{self.kind}-v{AUGMENT_VERSION}-torch{torch.__version__}"

    @property
    def least_area(self) -> float:
        """Smallest share of the image's area that a crop keeps."""
        return {"original": 1.0, "light": 0.7, "full": 0.4}[self.kind]

    @property
    def max_angle(self) -> float:
        """Largest rotation, in radians, either way."""
        return math.radians(15) if self.kind == "full" else 0.0


def view_batch(
    images: np.ndarray | Tensor,
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    policy: ViewPolicy,
    seed: int,
) -> Tensor:
    """The views of a batch of images: ``(B, S, S, 3)`` uint8 → ``(B, 3, S, S)`` float32 in [0, 1].

    indices: ``(B,)`` integers, each image's index within its split: who it is, not where it stands
        in the batch.
    view: the view number, one for all or ``(B,)``; every number is another view of the image.
    seed: of the run. The result depends on (pixels, index, view, policy, seed) alone.

    A tensor on an accelerator is augmented there (the same parameters; last bits may differ from
    the CPU's). Raises ``ValueError`` for another shape or type.
    """
    source = _as_uint8(images, channels=3)
    if policy.kind == "original":
        return source.permute(0, 3, 1, 2).contiguous().float().div_(255.0)
    draws = _draws(indices, view, seed, len(source))
    geometry = _geometry(draws, policy)
    colours = _colours(draws, source) if policy.kind == "full" else None
    padding = "reflection" if policy.max_angle else "border"
    result = torch.empty(
        (len(source), 3, *source.shape[1:3]), dtype=torch.float32, device=source.device
    )
    for start in range(0, len(source), _CHUNK):
        part = slice(start, start + _CHUNK)
        # A channels-last view: no copy beyond the conversion, and grid_sample reads it faster.
        pixels = source[part].float().permute(0, 3, 1, 2)
        grid = _grid(geometry[part], source.shape[1], source.device)
        seen = F.grid_sample(pixels, grid, "bilinear", padding, align_corners=False)
        if colours is None:
            result[part] = seen.div_(255.0).clamp_(0.0, 1.0)
        else:
            _recolour(seen, colours[part], out=result[part])
    if policy.kind == "full":
        _blur(result, draws)
    return result


def view_masks(
    masks: np.ndarray | Tensor,
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    policy: ViewPolicy,
    seed: int,
) -> Tensor:
    """The same views of part masks: ``(B, S, S)`` uint8 → ``(B, S, S)`` uint8, nearest label.

    Geometry and edges are those of ``view_batch`` with the same arguments (where that mirrors the
    image beyond its edge, the mask is mirrored too); colours do not matter.
    """
    source = _as_uint8(masks, channels=None)
    if policy.kind == "original":
        return source.clone()
    geometry = _geometry(_draws(indices, view, seed, len(source)), policy)
    padding = "reflection" if policy.max_angle else "border"
    result = torch.empty_like(source)
    for start in range(0, len(source), _CHUNK):
        part = slice(start, start + _CHUNK)
        grid = _grid(geometry[part], source.shape[1], source.device)
        labels = source[part, None].float()
        seen = F.grid_sample(labels, grid, "nearest", padding, align_corners=False)
        result[part] = seen[:, 0].to(torch.uint8)
    return result


def _as_uint8(images: np.ndarray | Tensor, channels: int | None) -> Tensor:
    if isinstance(images, np.ndarray):
        # torch refuses to promise that it will not write to a read-only (memory-mapped) array.
        plain = np.array(images) if not images.flags.writeable else np.ascontiguousarray(images)
        images = torch.from_numpy(plain)
    wanted = "(B, S, S)" if channels is None else f"(B, S, S, {channels})"
    shape = tuple(images.shape)
    whole = len(shape) == 3 if channels is None else len(shape) == 4 and shape[3] == channels
    if images.dtype != torch.uint8 or not whole or shape[1] != shape[2]:
        raise ValueError(f"expected {wanted} uint8, got {shape} {images.dtype}")
    return images


def _draws(
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    seed: int,
    count: int,
) -> np.ndarray:
    """``(B, slots)`` float64 in [0, 1): SplitMix64 (Steele et al. 2014) as a counter-based hash."""
    index, number = _counters(indices), _counters(view)
    if index.shape != (count,) or number.shape not in ((), (count,)):
        raise ValueError(f"{count} images, but indices {index.shape} and view {number.shape}")
    root = _mix(np.array([seed % 2**64], dtype=np.uint64))
    key = _mix(_mix(root ^ index) ^ number)
    slots = np.arange(1, len(_SLOTS) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = _mix(key[:, None] + slots[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _counters(numbers: int | Sequence[int] | np.ndarray | Tensor) -> np.ndarray:
    plain = numbers.cpu().numpy() if isinstance(numbers, Tensor) else np.asarray(numbers)
    return plain.astype(np.int64).astype(np.uint64)


def _mix(state: np.ndarray) -> np.ndarray:
    """SplitMix64's output function; unsigned 64-bit arithmetic wraps on purpose."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _between(draws: np.ndarray, slot: str, low: float, high: float) -> np.ndarray:
    return low + (high - low) * draws[:, _SLOT[slot]]


def _geometry(draws: np.ndarray, policy: ViewPolicy) -> np.ndarray:
    """``(B, 6)`` float32: the affine map from a view's coordinates to the image's, in [−1, 1].

    A random resized crop (Szegedy et al. 2015) of ``area`` × the image, ``ratio`` log-uniform,
    sides clamped to the image's; then a flip and a rotation about the crop's centre.
    """
    area = _between(draws, "area", policy.least_area, 1.0)
    # libm, one number at a time: a vectorised power or sine may round differently at its tail.
    ratio = np.array([_RATIO ** (2 * u - 1) for u in draws[:, _SLOT["ratio"]].tolist()])
    angles = _between(draws, "angle", -policy.max_angle, policy.max_angle).tolist()
    cosine, sine = np.array([math.cos(a) for a in angles]), np.array([math.sin(a) for a in angles])
    width = np.minimum(np.sqrt(area * ratio), 1.0)
    height = np.minimum(np.sqrt(area / ratio), 1.0)
    centre_x = (1 - width) * _between(draws, "x", -1.0, 1.0)
    centre_y = (1 - height) * _between(draws, "y", -1.0, 1.0)
    flip = np.where(draws[:, _SLOT["flip"]] < 0.5, -1.0, 1.0)
    to_x = (cosine * width * flip, -sine * height, centre_x)
    to_y = (sine * width * flip, cosine * height, centre_y)
    return np.stack([*to_x, *to_y], axis=1).astype(np.float32)


def _grid(geometry: np.ndarray, size: int, device: torch.device) -> Tensor:
    """``(b, S, S, 2)`` sampling positions, the centre of every pixel of the view."""
    along = (torch.arange(size, dtype=torch.float32, device=device) * 2 + 1) / size - 1
    xs, ys = along.view(1, 1, size), along.view(1, size, 1)
    a, b, c, d, e, f = torch.from_numpy(geometry).to(device).T[:, :, None, None]
    grid = torch.empty((len(geometry), size, size, 2), dtype=torch.float32, device=device)
    torch.add(a * xs, b * ys + c, out=grid[..., 0])
    torch.add(d * xs, e * ys + f, out=grid[..., 1])
    return grid


# Saturation and hue in YIQ (NTSC, 1953): with M = RGB→YIQ, s the saturation and h the hue's angle,
# M⁻¹ · [1 ⊕ s·rotation(h)] · M = LUMA + s·cos h · CHROMA + s·sin h · TURN, all three constant.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_LUMA = _FROM_YIQ @ np.diag([1.0, 0.0, 0.0]) @ _TO_YIQ
_CHROMA = _FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ _TO_YIQ
_TURN = _FROM_YIQ @ np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]) @ _TO_YIQ


def _colours(draws: np.ndarray, source: Tensor) -> np.ndarray:
    """``(B, 3, 4)`` float32: colour matrices and offsets, from [0, 255] to [0, 1]."""
    brightness = _between(draws, "brightness", 0.7, 1.3)
    contrast = _between(draws, "contrast", 0.7, 1.3)
    saturation = _between(draws, "saturation", 0.6, 1.4)
    saturation = np.where(draws[:, _SLOT["gray"]] < 0.1, 0.0, saturation)
    hues = _between(draws, "hue", -math.radians(10), math.radians(10)).tolist()
    cosine = saturation * np.array([math.cos(h) for h in hues])
    sine = saturation * np.array([math.sin(h) for h in hues])
    matrix = _LUMA + cosine[:, None, None] * _CHROMA + sine[:, None, None] * _TURN
    matrix = matrix * (brightness * contrast / 255)[:, None, None]
    # Contrast pivots on the original's mean luminance; integer sums are exact in any order.
    sample = source[:, ::4, ::4].to(torch.int64)
    sums = sample.sum(dim=(1, 2)).cpu().numpy() / (sample.shape[1] * sample.shape[2] * 255)
    luminance = 0.299 * sums[:, 0] + 0.587 * sums[:, 1] + 0.114 * sums[:, 2]
    offset = (1 - contrast) * brightness * luminance
    offsets = np.broadcast_to(offset[:, None, None], (len(draws), 3, 1))
    return np.concatenate([matrix, offsets], axis=2).astype(np.float32)


def _recolour(pixels: Tensor, colours: np.ndarray, out: Tensor) -> None:
    weights = torch.from_numpy(colours).to(pixels.device)[..., None, None]
    red, green, blue = pixels.unbind(dim=1)
    for channel in range(3):
        mixed = red * weights[:, channel, 0]
        mixed += green * weights[:, channel, 1]
        mixed += blue * weights[:, channel, 2]
        mixed += weights[:, channel, 3]
        torch.clamp(mixed, 0.0, 1.0, out=out[:, channel])


def _blur(views: Tensor, draws: np.ndarray) -> None:
    """Blurs one view in ten, in place: a Gaussian as two passes of shifted, weighted sums."""
    chosen = np.flatnonzero(draws[:, _SLOT["blur"]] < 0.1)
    if not len(chosen):
        return
    scale = views.shape[-1] / 96
    sigmas = (_between(draws, "sigma", 0.4, _MAX_SIGMA)[chosen] * scale).tolist()
    radius = min(math.ceil(2 * _MAX_SIGMA * scale), views.shape[-1] - 1)
    taps = [[math.exp(-0.5 * (k / s) ** 2) for k in range(-radius, radius + 1)] for s in sigmas]
    weights = torch.tensor([[tap / sum(row) for tap in row] for row in taps])
    weights = weights.to(views.device)[:, :, None, None, None]
    rows = torch.from_numpy(chosen).to(views.device)
    pixels = views[rows]
    for dim, pad in ((3, (radius, radius, 0, 0)), (2, (0, 0, radius, radius))):
        padded, length = F.pad(pixels, pad, mode="reflect"), pixels.shape[dim]
        pixels = torch.zeros_like(pixels)
        for k in range(2 * radius + 1):
            pixels += padded.narrow(dim, k, length) * weights[:, k]
    views[rows] = pixels.clamp_(0.0, 1.0)
