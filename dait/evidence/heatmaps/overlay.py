"""Heatmaps laid over their images, and a row of them with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dait.evidence.heatmaps.inferno import INFERNO

_PAGE = "#FFFFFF"
_TITLE_INK = "#1A1A1A"
_SUBTITLE_INK = "#5A5A5A"


def overlay(image: np.ndarray, heat: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """An ``(S, S, 3)`` uint8 image under an ``(S, S)`` heatmap in [0, 1], as uint8.

    The cover grows with the heat, from none where the heat is 0 to fully ``opacity`` from a third
    of the maximum on, so a map that is zero everywhere leaves the image as it is.
    Raises ``ValueError`` where shapes or ranges do not fit.
    """
    if image.dtype != np.uint8 or image.shape != (*heat.shape, 3):
        raise ValueError(
            f"image {image.shape} {image.dtype} under a heatmap {heat.shape}: "
            "the image must be uint8 RGB of the heatmap's size"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is a share of 0 to 1, not {opacity}")
    if heat.size and not (heat.min() >= 0 and heat.max() <= 1):
        raise ValueError("a heatmap to lay over an image lies in [0, 1]; scale it first")
    colours = INFERNO[np.round(heat * 255).astype(int)]
    cover = opacity * np.clip(heat[..., None] * 3, 0, 1)
    blended = (1 - cover) * image.astype(np.float32) + cover * colours
    return np.round(blended).astype(np.uint8)


def heat_layer(heat: np.ndarray) -> np.ndarray:
    """An ``(S, S)`` heatmap in [0, 1] alone, ``(S, S, 4)`` uint8 RGBA.

    Laid over its image at an opacity it gives what ``overlay`` gives: for pages that let the
    reader choose the opacity. Raises ``ValueError`` where the range does not fit.
    """
    if heat.size and not (heat.min() >= 0 and heat.max() <= 1):
        raise ValueError("a heatmap to lay over an image lies in [0, 1]; scale it first")
    colours = np.round(INFERNO[np.round(heat * 255).astype(int)])
    cover = np.round(255 * np.clip(heat[..., None] * 3, 0, 1))
    return np.concatenate([colours, cover], axis=2).astype(np.uint8)


def heatmap_row(
    entries: Sequence[tuple[str, str, np.ndarray]], side: int = 224, gap: int = 12
) -> Image.Image:
    """One picture with all ``(title, subtitle, (S, S, 3) uint8 image)`` entries side by side.

    side: pixels of each image in the row. Captions that are too wide are cut with an ellipsis.
    Raises ``ValueError`` where there is no entry.
    """
    if not entries:
        raise ValueError("a row of heatmaps needs at least one entry")
    title_font = ImageFont.load_default(size=max(11, side // 15))
    subtitle_font = ImageFont.load_default(size=max(10, side // 18))
    line = round(side / 11)
    width = len(entries) * side + (len(entries) + 1) * gap
    row = Image.new("RGB", (width, side + 2 * line + 3 * gap), _PAGE)
    draw = ImageDraw.Draw(row)
    for place, (title, subtitle, image) in enumerate(entries):
        left = gap + place * (side + gap)
        draw.text((left, gap), _fitted(draw, title, title_font, side), _TITLE_INK, title_font)
        small = _fitted(draw, subtitle, subtitle_font, side)
        draw.text((left, gap + line), small, _SUBTITLE_INK, subtitle_font)
        picture = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        row.paste(picture, (left, 2 * gap + 2 * line))
    return row


def _fitted(
    draw: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
) -> str:
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text.rstrip() + "…"
