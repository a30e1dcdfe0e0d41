"""The row of heatmaps and the sample images, as HTML with the pictures inside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.config import hide_paths
from app.ui.pictures import picture_address
from app.ui.wording import escape, percent
from dait.data.base import ClassInfo
from dait.evidence.heatmaps.overlay import heat_layer
from dait.evidence.palette import arm_colour

if TYPE_CHECKING:
    from dait.evidence.comparison import Explanation

OTHER_ANSWERS = 2


@dataclass(frozen=True)
class Picture:
    """What is explained.

    seen: ``(S, S, 3)`` uint8, what the networks get; shown: ``(D, D, 3)`` uint8 for people, the
    same square; truth: its class where that is known; index: of a test image.
    """

    seen: np.ndarray
    shown: np.ndarray
    truth: int | None
    name: str
    index: int | None = None


def row_html(
    picture: Picture,
    explanations: Sequence[Explanation],
    classes: Sequence[ClassInfo],
    removable: int | None = None,
) -> str:
    """One card a network: the picture under its heatmap, what it answers, whether that is right.

    removable: the row's place among several, where it has a button to remove it.
    """
    photograph = picture_address(picture.shown)
    cells = [_cell(picture, photograph, found, classes) for found in explanations]
    truth = "" if picture.truth is None else f" It is a <b>{_name(classes, picture.truth)}</b>."
    kind = "upload" if picture.truth is None else "test"
    number = "" if picture.index is None else f' data-image="{picture.index}"'
    hint = f'<p class="ds-hint" data-kind="{kind}"{number}>{escape(picture.name)}.{truth}</p>'
    remove = (
        ""
        if removable is None
        else f'<button type="button" data-remove="{removable}" '
        f'aria-label="Remove {escape(picture.name)}">Remove</button>'
    )
    head = f'<div class="ds-row-head">{hint}{remove}</div>'
    return head + f'<div class="ds-row">{"".join(cells)}</div>'


def gallery_html(images: Sequence[tuple[int, np.ndarray, str]], picked: Collection[int]) -> str:
    """Buttons with ``(index, (S, S, 3) uint8, class name)``; those ``picked`` are pressed."""
    buttons = [
        f'<button type="button" data-index="{index}" '
        f'aria-pressed="{"true" if index in picked else "false"}" '
        f'aria-label="Test image {index}: {escape(name)}">'
        f'<img src="{picture_address(image)}" alt="">'
        f"<span>{escape(name)}</span></button>"
        for index, image, name in images
    ]
    return f'<div class="ds-gallery">{"".join(buttons)}</div>'


def _cell(
    picture: Picture, photograph: str, found: Explanation, classes: Sequence[ClassInfo]
) -> str:
    member = found.member
    heat = "" if found.empty else _heat_image(found)
    alt = f"{picture.name} as seen by {member.title}"
    return (
        f'<figure class="ds-cell" style="--arm: {arm_colour(member.role)}">'
        f'<div class="ds-name">{escape(member.title)}</div>'
        f'<div class="ds-picture"><img src="{photograph}" alt="{escape(alt)}">{heat}</div>'
        f"<figcaption>{_answer(picture, found, classes)}{_why(found, classes)}</figcaption>"
        "</figure>"
    )


def _heat_image(found: Explanation) -> str:
    peak = np.unravel_index(int(found.heat.argmax()), found.heat.shape)
    down, across = (100 * (place + 0.5) / found.heat.shape[0] for place in peak)
    alt = f"Heatmap, strongest {across:.0f} % from the left and {down:.0f} % from the top"
    address = picture_address(heat_layer(found.heat), kind="PNG")
    return f'<img class="heat" src="{address}" alt="{alt}">'


def _answer(picture: Picture, found: Explanation, classes: Sequence[ClassInfo]) -> str:
    if not found.top:
        return '<div class="ds-answer">No answer</div>'
    best, probability = found.top[0]
    mark = ""
    if picture.truth is not None:
        right = best == picture.truth
        kind, word = ("right", "✓ right") if right else ("wrong", "✗ wrong")
        mark = f' <span class="ds-{kind}">{word}</span>'
    others = "".join(
        f"<li><span>{_name(classes, index)}</span><span>{percent(share, 0)}</span></li>"
        for index, share in found.top[1 : 1 + OTHER_ANSWERS]
    )
    return (
        f'<div class="ds-answer">{_name(classes, best)} {percent(probability, 0)}{mark}</div>'
        f'<ul class="ds-others">{others}</ul>'
    )


def _why(found: Explanation, classes: Sequence[ClassInfo]) -> str:
    if found.note:
        return f'<p class="ds-why">{escape(hide_paths(found.note))}</p>'
    if found.sentence and not found.empty:
        cosine = "" if found.similarity is None else f" Cosine {found.similarity:.3f}."
        cosine = cosine.replace("-", "−")
        return f'<p class="ds-why">Heatmap for “{escape(found.sentence)}”.{cosine}</p>'
    if found.empty:
        target = f"“{escape(found.sentence)}”" if found.sentence else _name(classes, found.target)
        return (
            f'<p class="ds-why">The map was empty: nothing here speaks for {target}. Try another '
            "method or class.</p>"
        )
    if found.top and found.target != found.top[0][0]:
        return f'<p class="ds-why">Heatmap for {_name(classes, found.target)}.</p>'
    return ""


def _name(classes: Sequence[ClassInfo], index: int) -> str:
    return escape(classes[index].name)
