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
from dait.data.draws import Draws
from dait.data.photometric import Jitter, blur, colour_matrices, recolour
from dait.errors import UserError

AUGMENT_VERSION = 1
"""Raised whenever any pixel of any view changes: stored teacher outputs are then recomputed."""

# Images are handled a few at a time so that they stay in the processor's cache (twice as fast).
_CHUNK = 16


@dataclass(frozen=True)
class _Window:
    """Where a view looks: the range of its share of the image's area, how much wider than high it
    may be or the other way round, and its largest rotation in degrees either way."""

    area: tuple[float, float]
    ratio: float = 1.0
    angle: float = 0.0


_WINDOWS: dict[ViewKind, _Window] = {
    "light": _Window((0.7, 1.0), ratio=4 / 3),
    "full": _Window((0.4, 1.0), ratio=4 / 3, angle=15),
    "paper": _Window((0.875**2, 0.875**2), angle=60),
}
_JITTERS: dict[ViewKind, Jitter] = {
    "full": Jitter(
        brightness=(0.7, 1.3),
        contrast=(0.7, 1.3),
        saturation=(0.6, 1.4),
        hue=10,
        gray=0.1,
        blur=0.1,
        sigma=(0.4, 1.2),
    ),
    "paper": Jitter(
        brightness=(0.6, 1.4),
        contrast=(0.6, 1.4),
        saturation=(0.6, 1.4),
        hue=18,
        gray=0.0,
        blur=0.5,
        sigma=(0.1 * 96 / 224, 10 * 96 / 224),
    ),
}


@dataclass(frozen=True)
class ViewPolicy:
    """What may happen to a view.

    The ranges of the first three are our choice. ``original``: nothing. ``light``: a random resized
    crop of 70 to 100 % of the area and a flip. ``full``: a crop of 40 to 100 %, a flip, a rotation
    of up to ±15°, brightness and contrast ×0.7 to ×1.3, saturation ×0.6 to ×1.4, hue ±10°, one view
    in ten grey, one in ten blurred.

    ``paper``: the published protocol of VL2Lite, from whose code these are: a 224-pixel window of
    an image resized to 256 (87.5 % of each side), a rotation of up to ±60°, a flip, colour jitter,
    a blur of sigma up to 10 pixels at 224. Our choice, because our source does not give it: the
    window lies anywhere and is rotated about its own centre, the image is mirrored beyond its edge,
    brightness, contrast and saturation are ×0.6 to ×1.4, hue ±18°, every second view is blurred,
    with a sigma drawn evenly from 0.1 pixels, and sigma grows with the image's size.

    Raises ``UserError`` for an unknown kind.
    """

    kind: ViewKind = "light"

    def __post_init__(self) -> None:
        if self.kind not in get_args(ViewKind):
            known = ", ".join(get_args(ViewKind))
            raise UserError(f"There is no kind of view called ‘{self.kind}’. Use one of: {known}.")

    @property
    def fingerprint(self) -> str:
        """Names what this policy does to pixels, to the bit: geometry, colours, library versions.

        With ``Dataset.fingerprint`` it names every pixel of every view.
        """
        return f"{self.kind}-v{AUGMENT_VERSION}-torch{torch.__version__}-numpy{np.__version__}"


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
        return source.permute(0, 3, 1, 2).float().div_(255.0)
    draws, jitter = Draws(indices, view, seed, len(source)), _JITTERS.get(policy.kind)
    geometry, padding = _geometry(draws, _WINDOWS[policy.kind]), _padding(policy)
    colours = colour_matrices(draws, source, jitter) if jitter else None
    # As networks take them, and as the pixels came: the same numbers, without another copy.
    result = torch.empty(
        (len(source), 3, *source.shape[1:3]),
        dtype=torch.float32,
        device=source.device,
        memory_format=torch.channels_last,
    )
    grids = _Grids(geometry, source.shape[1], source.device)
    for start in range(0, len(source), _CHUNK):
        part = slice(start, start + _CHUNK)
        # A channels-last view: no copy beyond the conversion, and grid_sample reads it faster.
        pixels = source[part].float().permute(0, 3, 1, 2)
        grid = grids.part(part)
        seen = F.grid_sample(pixels, grid, "bilinear", padding, align_corners=False)
        if colours is None:
            result[part] = seen.div_(255.0).clamp_(0.0, 1.0)
        else:
            result[part] = recolour(seen, colours[part])
    if jitter:
        blur(result, draws, jitter)
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
    draws = Draws(indices, view, seed, len(source))
    geometry, padding = _geometry(draws, _WINDOWS[policy.kind]), _padding(policy)
    result = torch.empty_like(source)
    grids = _Grids(geometry, source.shape[1], source.device)
    for start in range(0, len(source), _CHUNK):
        part = slice(start, start + _CHUNK)
        grid = grids.part(part)
        labels = source[part, None].float()
        seen = F.grid_sample(labels, grid, "nearest", padding, align_corners=False)
        result[part] = seen[:, 0].to(torch.uint8)
    return result


def view_boxes(
    boxes: np.ndarray | Tensor,
    size: int,
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    policy: ViewPolicy,
    seed: int,
) -> Tensor:
    """The same views of boxes: ``(B, 4)`` left, top, right, bottom in pixels → the same, float32.

    size: S of the images and of their views. Geometry is that of ``view_batch`` with the same
    arguments. A rotated box becomes the upright box around it, and so a larger one; it is clipped
    to the view. NaN where there was none, and where nothing of it is seen (what a mirrored edge
    shows again is not counted). Raises ``ValueError`` for another shape.
    """
    source = torch.as_tensor(np.asarray(boxes), dtype=torch.float64).numpy()
    if source.ndim != 2 or source.shape[1] != 4:
        raise ValueError(f"expected (B, 4) boxes, got {source.shape}")
    draws = Draws(indices, view, seed, len(source))
    if policy.kind == "original":
        return torch.from_numpy(source.astype(np.float32))
    a, b, c, d, e, f = _geometry(draws, _WINDOWS[policy.kind]).astype(np.float64).T[:, :, None]
    corners = source * (2 / size) - 1
    x, y = corners[:, [0, 2, 0, 2]] - c, corners[:, [1, 1, 3, 3]] - f
    determinant = a * e - b * d  # never 0: a view shows some of the image
    across, down = (e * x - b * y) / determinant, (a * y - d * x) / determinant
    seen = np.stack([across.min(1), down.min(1), across.max(1), down.max(1)], axis=1)
    seen = ((seen + 1) * (size / 2)).clip(0, size)
    seen[~((seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1]))] = np.nan
    return torch.from_numpy(seen.astype(np.float32))


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


def _geometry(draws: Draws, window: _Window) -> np.ndarray:
    """``(B, 6)`` float32: the affine map from a view's coordinates to the image's, in [−1, 1].

    A random resized crop (Szegedy et al. 2015) of ``area`` × the image, ``ratio`` log-uniform,
    sides clamped to the image's; then a flip and a rotation about the crop's centre.
    """
    area = draws.between("area", *window.area)
    # libm, one number at a time: a vectorised power or sine may round differently at its tail.
    ratio = np.array([window.ratio ** (2 * u - 1) for u in draws.between("ratio").tolist()])
    limit = math.radians(window.angle)
    angles = draws.between("angle", -limit, limit).tolist()
    cosine, sine = np.array([math.cos(a) for a in angles]), np.array([math.sin(a) for a in angles])
    width = np.minimum(np.sqrt(area * ratio), 1.0)
    height = np.minimum(np.sqrt(area / ratio), 1.0)
    centre_x = (1 - width) * draws.between("x", -1.0, 1.0)
    centre_y = (1 - height) * draws.between("y", -1.0, 1.0)
    flip = np.where(draws.between("flip") < 0.5, -1.0, 1.0)
    to_x = (cosine * width * flip, -sine * height, centre_x)
    to_y = (sine * width * flip, cosine * height, centre_y)
    return np.stack([*to_x, *to_y], axis=1).astype(np.float32)


def _padding(policy: ViewPolicy) -> str:
    """How a view goes on beyond the image's edge, over which only a rotation leads it far."""
    return "reflection" if _WINDOWS[policy.kind].angle else "border"


class _Grids:
    """Where the views of a batch look: ``part`` gives the ``(b, S, S, 2)`` sampling positions of
    some of them, the centre of every pixel of the view."""

    def __init__(self, geometry: np.ndarray, size: int, device: torch.device) -> None:
        # By numpy, which takes less time than torch for so few numbers.
        along = (np.arange(size, dtype=np.float32) * 2 + 1) / np.float32(size) - 1
        a, b, c, d, e, f = geometry.T[:, :, None]
        self._rotated = bool(geometry[:, [1, 3]].any())
        if self._rotated:
            rows, columns = (a * along, d * along), (b * along + c, e * along + f)
            self._across = [torch.from_numpy(x).to(device)[:, None, :] for x in rows]
            self._down = [torch.from_numpy(y).to(device)[:, :, None] for y in columns]
        else:
            # The same numbers from a row and a column of them, as the two parts of a complex
            # number because that fills a grid in one go.
            row, column = (a * along + c).astype(np.complex64), 1j * (e * along + f)
            self._row = torch.from_numpy(row).to(device)[:, None, :]
            self._column = torch.from_numpy(column.astype(np.complex64)).to(device)[:, :, None]

    def part(self, part: slice) -> Tensor:
        """The positions of these views."""
        if not self._rotated:
            return torch.view_as_real(self._row[part] + self._column[part])
        across = [x[part] + y[part] for x, y in zip(self._across, self._down, strict=True)]
        return torch.stack(across, dim=-1)
