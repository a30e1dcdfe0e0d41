"""A contact sheet: some images of each class, with its name and count."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dait.data.base import Dataset, SplitName
from dait.data.folders.names import nfc
from dait.errors import UserError

_GAP = 4  # pixels between images
_MARGIN = 14  # pixels between blocks and around the sheet
_TEXT = 15  # pixels; the label's height
_PAPER, _INK, _FAINT = "#ffffff", "#1f2430", "#6b7280"


def preview_grid(
    dataset: Dataset,
    split: SplitName = "train",
    *,
    per_class: int = 4,
    columns: int | None = None,
    classes: Sequence[str] | None = None,
) -> Image.Image:
    """One block a class: its label, its image count, and its first ``per_class`` images in a row.

    columns: blocks side by side; by default as many as make the sheet about square.
    classes: the keys to show, in this order; all by default.
    Decodes or draws the split on first use. Raises ``UserError`` for an unknown class and for
    ``per_class`` or ``columns`` below 1.
    """
    if per_class < 1 or (columns is not None and columns < 1):
        raise UserError("A preview needs at least 1 image per class and 1 column.")
    chosen = _labels(dataset, classes)
    shown = dataset.split(split)
    width = per_class * (dataset.size + _GAP) - _GAP
    height = _TEXT + _GAP + dataset.size
    count = len(chosen)
    if columns is None:
        columns = math.ceil(math.sqrt(count * (height + _MARGIN) / (width + _MARGIN)))
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    sheet_size = (
        columns * (width + _MARGIN) + _MARGIN,
        rows * (height + _MARGIN) + _MARGIN,
    )
    sheet = Image.new("RGB", sheet_size, _PAPER)
    for position, label in enumerate(chosen):
        members = np.flatnonzero(shown.labels == label)
        block = _block(
            dataset.classes[label].name,
            len(members),
            np.asarray(shown.images[members[:per_class]]),
            (width, height),
        )
        left = _MARGIN + position % columns * (width + _MARGIN)
        top = _MARGIN + position // columns * (height + _MARGIN)
        sheet.paste(block, (left, top))
    return sheet


def _labels(dataset: Dataset, classes: Sequence[str] | None) -> list[int]:
    keys = [nfc(info.key) for info in dataset.classes]
    if classes is None:
        return list(range(len(keys)))
    classes = [nfc(key) for key in classes]
    unknown = [key for key in classes if key not in keys]
    if unknown or not classes:
        some = ", ".join(keys[:8]) + (", …" if len(keys) > 8 else "")
        found = f"no class ‘{unknown[0]}’" if unknown else "nothing to show: no class was named"
        raise UserError(f"‘{dataset.name}’ has {found}. Its classes are {some}.")
    return [keys.index(key) for key in classes]


def _block(name: str, count: int, images: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """A label line over a row of ``(n, S, S, 3)`` images; ``size`` is (width, height)."""
    block = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(block), ImageFont.load_default(_TEXT - 2)
    amount = str(count)
    room = size[0] - draw.textlength(amount, font) - 2 * _GAP
    draw.text((0, 0), _shortened(name, room, draw, font), _INK, font)
    draw.text((size[0], 0), amount, _FAINT, font, anchor="ra")
    for place, image in enumerate(images):
        block.paste(Image.fromarray(image), (place * (image.shape[1] + _GAP), _TEXT + _GAP))
    return block


def _shortened(
    name: str,
    room: float,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> str:
    if draw.textlength(name, font) <= room:
        return name
    while name and draw.textlength(f"{name}…", font) > room:
        name = name[:-1]
    return f"{name.rstrip()}…"
