"""Augmented views that can be replayed.

A view is named by ``(seed, image index, view number)`` and by nothing else: its crop, flip,
rotation and colours come from a counter-based generator keyed by these three, so the pixels are
bit for bit the same in any batch, in any order, in any process. A
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.data.augmentation.draws import Draws
from dait.data.augmentation.photometric import (
    Jitter,
    blur,
    colour_matrices,
    mean_colours,
    recolour,
    sent,
)
from dait.data.base import ViewKind
from dait.data.stored import Packed
from dait.errors import UserError

AUGMENT_VERSION = 1
"""Raised whenever any pixel of any view changes: stored teacher outputs are then recomputed."""

# A processor handles a few images at a time, which stay in its cache (twice as fast).
_CHUNK = 16


@dataclass(frozen=True)
class _Window:
    """Where a view looks: the range of its area as a share of the square over the image's shorter
    side, how much wider than high it may be or the other way round, and its largest rotation in
    degrees either way."""

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

    The ranges of the first three are our choice. ``original``: the centre, as evaluation sees it.
    ``light``: a random resized crop of 70 to 100 % of the area and a flip. ``full``: a crop of 40
    to 100 %, a flip, a rotation of up to ±15°, brightness and contrast ×0.7 to ×1.3, saturation
    ×0.6 to ×1.4, hue ±10°, one view in ten grey, one in ten blurred.

    ``paper``: the published protocol of VL2Lite, from whose code these are: a 224-pixel window of
    an image resized to 256 (87.5 % of the shorter side), a rotation of up to ±60°, a flip, colour
    jitter, a blur of sigma up to 10 pixels at 224. Our choice, because our source does not give it:
    the window lies anywhere and is rotated about its own centre, the image is mirrored beyond its
    edge, brightness, contrast and saturation are ×0.6 to ×1.4, hue ±18°, every second view is
    blurred, with a sigma drawn evenly from 0.1 pixels, and sigma grows with the image's size.

    The area is of the square over the stored image's shorter side, and the window lies anywhere in
    the image, so that things have the same scale whatever the image's ratio. (In torchvision it is
    of the whole image: a wide one would be shown smaller in training than in evaluation.)

    seed: of the run; it decides what happens to a view, within what may.

    Raises ``UserError`` for an unknown kind.
    """

    kind: ViewKind = "light"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(ViewKind):
            known = ", ".join(get_args(ViewKind))
            raise UserError(f"There is no kind of view called ‘{self.kind}’. Use one of: {known}.")

    @property
    def fingerprint(self) -> str:
        """Names what this policy does to pixels, to the bit: geometry, colours, library versions.

        With the seed and ``Dataset.fingerprint`` it names every pixel of every view.
        """
        return f"{self.kind}-v{AUGMENT_VERSION}-torch{torch.__version__}-numpy{np.__version__}"


def view_batch(
    images: np.ndarray | Tensor | Packed,
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    policy: ViewPolicy,
    *,
    size: int | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """The views of a batch of images: ``(B, h, w, 3)`` uint8 → ``(B, 3, S, S)`` float32 in [0, 1].

    images: of one shape, or packed (``Split.uncropped[index]``).
    indices: ``(B,)`` integers, each image's index within its split: who it is, not where it stands
        in the batch.
    view: the view number, one for all or ``(B,)``; every number is another view of the image.
    policy: with the run's seed. The result depends on (pixels, index, view, policy) alone.
    size: S; left out where images are square and S is their side, or packed.
    device: where the views are made, by default where the images are. To a CUDA device everything
        goes from pinned memory without blocking. Parameters are the same as on the CPU; the
        pixels' last bits may differ.

    Raises ``ValueError`` for another shape or type.
    """
    source = _Source(images, 3, size)
    device = source.pixels.device if device is None else device
    if policy.kind == "original":
        centres = source.in_batch(sent(source.centres(), device))
        return centres.permute(0, 3, 1, 2).float().div_(255.0)
    draws = Draws(indices, view, policy.seed, len(source)).ordered(source.order)
    jitter = _JITTERS.get(policy.kind)
    grids = _Grids(_geometry(draws, _WINDOWS[policy.kind], source), source.size, device)
    # Before the images leave, so that nobody waits for an answer.
    matrices = colour_matrices(draws, source.mean_colours(), jitter) if jitter else None
    colours = None if matrices is None else sent(torch.from_numpy(matrices), device)
    # As networks take them, and as the pixels came: the same numbers, without another copy.
    result = torch.empty(
        (len(source), 3, source.size, source.size),
        dtype=torch.float32,
        device=device,
        memory_format=torch.channels_last,
    )
    padding = _padding(policy)
    for part, stored in source.parts(device):
        # A channels-last view: no copy beyond the conversion, and grid_sample reads it faster.
        pixels = stored.float().permute(0, 3, 1, 2)
        seen = F.grid_sample(pixels, grids.part(part), "bilinear", padding, align_corners=False)
        if colours is None:
            result[part] = seen.div_(255.0).clamp_(0.0, 1.0)
        else:
            result[part] = recolour(seen, colours[part])
    if jitter:
        blur(result, draws, jitter)
    return source.in_batch(result.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def view_masks(
    masks: np.ndarray | Tensor,
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    policy: ViewPolicy,
    *,
    size: int | None = None,
) -> Tensor:
    """The same views of part masks: ``(B, h, w)`` uint8 → ``(B, S, S)`` uint8, nearest label.

    Geometry and edges are those of ``view_batch`` with the same arguments (where that mirrors the
    image beyond its edge, the mask is mirrored too); colours do not matter.
    """
    source = _Source(masks, 1, size)
    device = source.pixels.device
    if policy.kind == "original":
        return source.centres()[..., 0].clone()
    draws = Draws(indices, view, policy.seed, len(source))
    grids = _Grids(_geometry(draws, _WINDOWS[policy.kind], source), source.size, device)
    result = torch.empty((len(source), source.size, source.size), dtype=torch.uint8, device=device)
    for part, stored in source.parts(device):
        labels, grid = stored.float().permute(0, 3, 1, 2), grids.part(part)
        seen = F.grid_sample(labels, grid, "nearest", _padding(policy), align_corners=False)
        result[part] = seen[:, 0].to(torch.uint8)
    return result


def view_boxes(
    boxes: np.ndarray | Tensor,
    size: int,
    indices: Sequence[int] | np.ndarray | Tensor,
    view: int | np.ndarray | Tensor,
    policy: ViewPolicy,
    *,
    shape: tuple[int, int] | None = None,
) -> Tensor:
    """The same views of boxes: ``(B, 4)`` left, top, right, bottom in pixels → the same, float32.

    size: S of the views. shape: height and width of the images, by default S both. Geometry is that
    of ``view_batch`` with the same arguments. A rotated box becomes the upright box around it, and
    so a larger one; it is clipped to the view. NaN where there was none, and where nothing of it is
    seen (what a mirrored edge shows again is not counted). Raises ``ValueError`` for another shape.
    """
    source = torch.as_tensor(np.asarray(boxes), dtype=torch.float64).numpy()
    if source.ndim != 2 or source.shape[1] != 4:
        raise ValueError(f"expected (B, 4) boxes, got {source.shape}")
    height, width = shape or (size, size)
    draws = Draws(indices, view, policy.seed, len(source))
    if policy.kind == "original":
        left, top = (width - size) // 2, (height - size) // 2
        if not left and not top:
            return torch.from_numpy(source.astype(np.float32))
        seen = (source - (left, top, left, top)).clip(0, size)
    else:
        plain = _geometry(draws, _WINDOWS[policy.kind], _Shape(height, width)).astype(np.float64)
        a, b, c, d, e, f = plain.T[:, :, None]
        corners = source * np.divide(2, (width, height, width, height)) - 1
        x, y = corners[:, [0, 2, 0, 2]] - c, corners[:, [1, 1, 3, 3]] - f
        determinant = a * e - b * d  # never 0: a view shows some of the image
        across, down = (e * x - b * y) / determinant, (a * y - d * x) / determinant
        seen = np.stack([across.min(1), down.min(1), across.max(1), down.max(1)], axis=1)
        seen = ((seen + 1) * (size / 2)).clip(0, size)
    seen[~((seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1]))] = np.nan
    return torch.from_numpy(seen.astype(np.float32))


@dataclass(frozen=True)
class _Shape:
    """Of the images, in pixels: one number, or one an image ``(B,)``."""

    height: np.ndarray | int
    width: np.ndarray | int


class _Source:
    """The images of a batch, those of a shape side by side in one flat tensor.

    order: as ``Packed`` has it; everything here is in that order, until ``in_batch``. height,
    width: ``(B,)``; size: S of the views.
    """

    def __init__(
        self, images: np.ndarray | Tensor | Packed, channels: int, size: int | None
    ) -> None:
        packed = images if isinstance(images, Packed) else _one_shape(images, channels, size)
        self._groups, self.order, self.size = packed.groups, packed.order, packed.size
        self._channels = channels
        self.pixels = _tensor(packed.pixels)
        counts = [count for count, _, _ in self._groups]
        self.height = np.repeat([height for _, height, _ in self._groups], counts)
        self.width = np.repeat([width for _, _, width in self._groups], counts)

    def __len__(self) -> int:
        return len(self.height)

    def in_batch(self, rows: Tensor) -> Tensor:
        """``(B, ...)`` in the order of the batch."""
        if self.order is None:
            return rows
        places = sent(torch.from_numpy(np.argsort(self.order)), rows.device)
        return rows.index_select(0, places)

    def parts(self, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
        """``(b, h, w, channels)`` on the device, and which they are.

        All of a shape at once, or a few where they should stay in a processor's cache.
        """
        pixels, most = sent(self.pixels, device), _CHUNK if device.type == "cpu" else len(self)
        first = 0
        for images in self._of_a_shape(pixels):
            for some in images.split(most):
                yield slice(first, first + len(some)), some
                first += len(some)

    def centres(self) -> Tensor:
        """``(B, S, S, channels)``, where the images are."""
        cut, size = [], self.size
        for images in self._of_a_shape(self.pixels):
            top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
            cut.append(images[:, top : top + size, left : left + size])
        return cut[0] if len(cut) == 1 else torch.cat(cut)

    def mean_colours(self) -> np.ndarray:
        """``(B, 3)``, as ``photometric.mean_colours`` has them."""
        return np.concatenate([mean_colours(images) for images in self._of_a_shape(self.pixels)])

    def _of_a_shape(self, pixels: Tensor) -> Iterator[Tensor]:
        """``(n, h, w, channels)`` each."""
        start = 0
        for group in self._groups:
            shape = (*group, self._channels)
            stop = start + math.prod(shape)
            yield pixels[start:stop].view(shape)
            start = stop


def pinned(images: np.ndarray | Packed) -> Packed:
    """The batch, copied once into memory from which a CUDA device reads without waiting."""
    packed = images if isinstance(images, Packed) else _one_shape(images, 3, None)
    return replace(packed, pixels=_tensor(packed.pixels).pin_memory())


def _one_shape(images: np.ndarray | Tensor, channels: int, size: int | None) -> Packed:
    wanted = "(B, h, w)" if channels == 1 else f"(B, h, w, {channels})"
    shape = tuple(images.shape)
    whole = len(shape) == 3 if channels == 1 else len(shape) == 4 and shape[3] == channels
    if str(images.dtype).removeprefix("torch.") != "uint8" or not whole:
        raise ValueError(f"expected {wanted} uint8, got {shape} {images.dtype}")
    if size is None and shape[1] != shape[2]:
        raise ValueError(f"uint8 images of {shape[1]} × {shape[2]} need the size of their views")
    return Packed(images.reshape(-1), (shape[:3],), None, size or shape[1])


def _tensor(pixels: np.ndarray | Tensor) -> Tensor:
    if isinstance(pixels, Tensor):
        return pixels
    # torch refuses to promise that it will not write to a read-only (memory-mapped) array.
    plain = np.array(pixels) if not pixels.flags.writeable else np.ascontiguousarray(pixels)
    return torch.from_numpy(plain)


def _geometry(draws: Draws, window: _Window, shape: _Shape | _Source) -> np.ndarray:
    """``(B, 6)`` float32: the affine map from a view's coordinates to the image's, in [−1, 1].

    A random resized crop (Szegedy et al. 2015) of ``area`` × the square over the shorter side,
    ``ratio`` log-uniform, sides clamped to the image's; then a flip and a rotation about the crop's
    centre.
    """
    area = draws.between("area", *window.area)
    # libm, one number at a time: a vectorised power or sine may round differently at its tail.
    ratio = np.array([window.ratio ** (2 * u - 1) for u in draws.between("ratio").tolist()])
    limit = math.radians(window.angle)
    angles = draws.between("angle", -limit, limit).tolist()
    cosine, sine = np.array([math.cos(a) for a in angles]), np.array([math.sin(a) for a in angles])
    short = np.minimum(shape.width, shape.height)
    width = np.minimum(np.sqrt(area * ratio) * (short / shape.width), 1.0)
    height = np.minimum(np.sqrt(area / ratio) * (short / shape.height), 1.0)
    centre_x = (1 - width) * draws.between("x", -1.0, 1.0)
    centre_y = (1 - height) * draws.between("y", -1.0, 1.0)
    flip = np.where(draws.between("flip") < 0.5, -1.0, 1.0)
    # A rotation is one of pixels, which a wide image has more of across than down.
    across, down = shape.height / np.asarray(shape.width), shape.width / np.asarray(shape.height)
    to_x = (cosine * width * flip, -sine * height * across, centre_x)
    to_y = (sine * width * flip * down, cosine * height, centre_y)
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
        self._plain = device.type == "cpu" and not geometry[:, [1, 3]].any()
        if self._plain:
            # The same numbers from a row and a column of them, as the two parts of a complex
            # number because that fills a grid in one go.
            row, column = (a * along + c).astype(np.complex64), 1j * (e * along + f)
            self._row = torch.from_numpy(row)[:, None, :]
            self._column = torch.from_numpy(column.astype(np.complex64))[:, :, None]
        else:
            lines = np.stack([a * along, d * along, b * along + c, e * along + f])
            self._lines = sent(torch.from_numpy(lines), device)

    def part(self, part: slice) -> Tensor:
        """The positions of these views."""
        if self._plain:
            return torch.view_as_real(self._row[part] + self._column[part])
        across_x, across_y, down_x, down_y = (line[part] for line in self._lines)
        x = across_x[:, None, :] + down_x[:, :, None]
        y = across_y[:, None, :] + down_y[:, :, None]
        return torch.stack((x, y), dim=-1)
