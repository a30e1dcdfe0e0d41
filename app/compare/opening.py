"""The opening: what a study found, an image on which its networks differ, and their accuracy.

What needs no network (the sentence, the answers, the accuracies) is shown at once; the heatmaps
follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from app.background import ERRORS
from app.catalogue.sources import FIELD_GUIDE
from app.compare.selection import ImageRefs, Selection
from app.compare.views import CompareViews
from app.comparisons.cache import OpenComparison
from app.comparisons.heatmap_row import heat_address
from app.server.loader import engine, light
from app.ui.events import EVERY, LAST, QUIET
from app.ui.pictures import picture_address
from app.ui.templates import render
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.evidence.finding import finding_basis, finding_sentence
from dait.evidence.heatmaps.explanation import Question
from dait.evidence.heatmaps.kept import Heats, heats_of, keep_heatmaps, kept_heatmaps

OTHERS = 6
"""Images to choose from, the first of which is shown."""
THUMBNAIL = 56
HEATMAPS_FOLLOW = "One moment: the heatmaps are being computed."
PRESSED = """
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button?.dataset.index) trigger('click', { index: Number(button.dataset.index) });
  if (button?.dataset.open) trigger('select', { index: Number(button.dataset.open) });
});
"""


def opening_html(
    opened: OpenComparison, index: int | None, heats: Heats | None, draw: bool = True
) -> str:
    """The whole opening. index: the test image, None for the first by the rule; heats: its
    heatmaps, None while they are computed; draw: whether images may be drawn or decoded now."""
    comparison = opened.comparison
    finding = comparison.finding()
    disputed = comparison.disputed()
    shown = index if index is not None else comparison.example()
    others = disputed[:OTHERS] if heats is not None else []
    return render(
        "opening",
        sentence=finding_sentence(finding),
        basis=finding_basis(finding),
        data=_data(comparison),
        index=shown,
        truth=int(comparison.labels[shown]),
        classes=comparison.classes,
        rule=_rule(len(disputed), len(comparison.labels), heats is not None),
        photograph=picture_address(opened.image(shown)) if draw else "",
        cells=[
            {
                "role": member.role,
                "title": member.title,
                "answer": int(comparison.logits[member.key][shown].argmax()),
                "heat": heat_address(heats[member.key]) if heats is not None else None,
            }
            for member in comparison.members
        ],
        others=[
            {
                "index": other,
                "address": picture_address(opened.image(other), THUMBNAIL),
                "name": comparison.classes[comparison.labels[other]].name,
            }
            for other in others
        ],
        waiting=HEATMAPS_FOLLOW,
        tops=_tops(comparison),
        whisker=_whisker(comparison),
    )


def first_opening(views: CompareViews) -> str:
    """Of the default study, without photographs, which would delay the start; empty if none is."""

    def shown(opened: OpenComparison) -> str:
        comparison = opened.comparison
        drawn = comparison.recipe.data.source == FIELD_GUIDE
        heats = kept_heatmaps(comparison, comparison.example()) if drawn else None
        return opening_html(opened, None, heats, draw=drawn)

    return views.of_first(shown)


def layout_opening(views: CompareViews) -> gr.HTML:
    """The block, with the default study's figures in it from the start."""
    return gr.HTML(
        first_opening(views), elem_id="opening", js_on_load=PRESSED, apply_default_css=False
    )


def wire_opening(
    block: gr.HTML,
    views: CompareViews,
    study: gr.Dropdown,
    seed: gr.Dropdown,
    opened: Iterable[Any],
) -> None:
    """Show the opening of the study after each event of ``opened``, and the image that is pressed.

    ``opened``: what chooses another study or seed.
    """
    chosen = gr.State(Selection())

    def html(study_id: str, number: int | None, images: ImageRefs, explained: bool) -> str:
        try:
            return drawn(views.comparisons.get(study_id, number), images, explained)
        except UserError:  # the notice above says it
            return ""

    def drawn(opened: OpenComparison, images: ImageRefs, explained: bool) -> str:
        comparison = opened.comparison
        index = images[0][1] if images else comparison.example()
        if comparison.recipe.data.source != FIELD_GUIDE:
            engine()  # some readers of photographs import it
        heats = kept_heatmaps(comparison, index)
        if heats is None and explained:
            row = opened.row(opened.image(index), Question())
            heats = heats_of(row)
            if index == comparison.example():
                try:
                    keep_heatmaps(comparison, index, row)
                except OSError as error:  # a folder that is read-only: computed again next time
                    ERRORS.log(error, "Keeping a study's heatmaps")
        return opening_html(opened, index, heats)

    @light
    def answers(study_id: str | None, number: int | None, selection: Selection) -> str:
        if study_id is None:
            return ""
        return selection.compute(study_id, lambda images: html(study_id, number, images, False))

    def heatmaps(study_id: str | None, number: int | None, selection: Selection) -> str:
        if study_id is None:
            return ""
        return selection.compute(study_id, lambda images: html(study_id, number, images, True))

    def choose(study_id: str, selection: Selection, event: gr.EventData) -> None:
        index = getattr(event, "index", None)
        views.check(study_id, ("test", index))
        selection.set(study_id, ("test", index))

    inputs = [study, seed, chosen]
    quiet: dict[str, Any] = {
        **QUIET,
        **LAST,
        "concurrency_limit": 4,
    }
    pressed = block.click(choose, [study, chosen], None, **{**quiet, **EVERY})
    for event in (*opened, pressed.then):
        event(answers, inputs, block, **quiet).then(heatmaps, inputs, block, **quiet)


def _rule(disputed: int, images: int, heatmaps: bool) -> str:
    bright = "Bright: what a network’s answer rests on. " if heatmaps else ""
    if not disputed:
        return f"{bright}All students are right and wrong on the same images; this is the first."
    return (
        f"{bright}Chosen by a rule, not by hand: on {disputed:,} of {images:,} test images some "
        "students are right and others wrong; those on which their answers differ most come first."
    )


def _data(comparison: Comparison) -> str:
    """What the images are, where the project draws them."""
    if comparison.recipe.data.source != FIELD_GUIDE:
        return ""
    return f"Drawn birds of {len(comparison.classes)} invented species."


def _tops(comparison: Comparison) -> list[dict[str, Any]]:
    rows, seeds = [], len(comparison.finding().seeds)
    for row in comparison.table():
        if row["top1"] is None:
            continue
        bounds = row["interval"]
        if seeds > 1:  # a frozen teacher is the same under every seed
            sd = row["sd"]
            bounds = None if sd is None else [row["top1"] - sd, row["top1"] + sd]
        low, high = (None, None) if not bounds else (max(0.0, bounds[0]), min(1.0, bounds[1]))
        rows.append({**row, "low": low, "high": high})
    return rows


def _whisker(comparison: Comparison) -> str:
    seeds = len(comparison.finding().seeds)
    if seeds > 1:
        return f"Means of {seeds} seeds; the line is ± their standard deviation."
    return f"Seed {comparison.seed}; the line is the 95 % interval over images."
