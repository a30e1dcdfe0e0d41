"""The figures that tell networks apart class by class, folded until somebody wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare.filters import PRESSED
from app.compare.linked_views import LinkedViews
from app.compare.row_box import HIDDEN, QUIET, TO_THE_ROW, RowBox, remember
from app.compare.views import CompareViews
from app.ui.notice import HIDDEN_NOTICE, KEPT, notice_box, section, shows_errors
from app.ui.plot import WIDE, panel_columns, plot_box

WITH_WIDTH = "(...values) => [...values.slice(0, -1), window.innerWidth]"


@dataclass(frozen=True)
class LinkedFigures:
    """The folded figures and what chooses among networks in them."""

    folds: tuple[gr.Accordion, ...]
    confusion: gr.HTML
    of: gr.Dropdown
    pairs: gr.HTML
    ours: gr.Dropdown
    theirs: gr.Dropdown
    gains: gr.HTML
    reliability: gr.HTML
    notice: gr.HTML
    width: gr.Number

    @property
    def settled(self) -> list[Any]:
        """What ``settle`` changes."""
        figures = [self.confusion, self.pairs, self.gains, self.reliability]
        return [*self.folds, self.of, self.ours, self.theirs, *figures]

    def settle(self, networks: list[tuple[str, str]]) -> list[Any]:
        """Of another study or seed: everything is folded, and drawn anew when it is opened."""
        roles = [role for _, role in networks]
        ours = roles[-1]
        theirs = "direct" if "direct" in roles[:-1] else roles[0]
        chosen = (ours, ours, theirs)
        pickers = [gr.update(choices=networks, value=value) for value in chosen]
        return [*[gr.update(open=False)] * len(self.folds), *pickers, None, "", None, None]


def layout_linked_figures() -> LinkedFigures:
    """Lay them out."""
    section(
        "Where they differ",
        "Class by class, and how sure each network is. Press a cell or a bar to see an image "
        "behind it under every network.",
    )
    told_box = notice_box("linked-notice")
    with gr.Accordion("What is taken for what", open=False, elem_id="fold-confusion") as first:
        confusion = plot_box(
            "Confusion matrices, one a network", 500, elem_id="confusion", marks="cells"
        )
        of = gr.Dropdown([], label="Most confused by", elem_id="pairs-of")
        pairs = gr.HTML("", elem_id="pairs", js_on_load=PRESSED, apply_default_css=False)
    with gr.Accordion("Gains class by class", open=False, elem_id="fold-gains") as second:
        with gr.Row():
            ours = gr.Dropdown([], label="Network", min_width=200, elem_id="gains-ours")
            theirs = gr.Dropdown([], label="Compared with", min_width=200, elem_id="gains-theirs")
        gains = plot_box(
            "Gain in accuracy of one network over another on every class", 470, elem_id="gains",
            marks="cells",
        )  # fmt: skip
    with gr.Accordion("How sure they are", open=False, elem_id="fold-reliability") as third:
        reliability = plot_box("Reliability diagrams, one a network", 430, elem_id="reliability")
    width = gr.Number(WIDE, visible=False)
    folds = (first, second, third)
    return LinkedFigures(
        folds, confusion, of, pairs, ours, theirs, gains, reliability, told_box, width
    )


def wire_linked_figures(parts: LinkedFigures, box: RowBox, linked: LinkedViews) -> None:
    """Draw each where its fold is opened, and anew where another network is chosen."""

    @shows_errors(KEPT, KEPT)
    def confusion(study: str | None, seed: Any, of: str, width: float) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, None, ""]
        figure = linked.confusion(study, seed, min(2, panel_columns(width)))
        return [HIDDEN_NOTICE, figure, linked.pairs(study, seed, of)]

    @shows_errors(KEPT)
    def pairs(study: str | None, seed: Any, of: str) -> list[Any]:
        return [HIDDEN_NOTICE, linked.pairs(study, seed, of) if study else ""]

    @shows_errors(KEPT)
    def gains(study: str | None, seed: Any, ours: str, theirs: str, width: float) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, None]
        return [HIDDEN_NOTICE, linked.gains(study, seed, ours, theirs, panel_columns(width))]

    @shows_errors(KEPT)
    def reliability(study: str | None, seed: Any, width: float) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, None]
        return [HIDDEN_NOTICE, linked.reliability(study, seed, panel_columns(width))]

    of_study = [box.study, box.seed]
    pair = [parts.ours, parts.theirs]
    wide: dict[str, Any] = {**QUIET, "js": WITH_WIDTH}
    first, second, third = parts.folds
    seen = [parts.notice, parts.confusion, parts.pairs]
    first.expand(confusion, [*of_study, parts.of, parts.width], seen, **wide)
    parts.of.input(pairs, [*of_study, parts.of], [parts.notice, parts.pairs], **QUIET)
    bars = ([*of_study, *pair, parts.width], [parts.notice, parts.gains])
    second.expand(gains, *bars, **wide)
    for picker in pair:
        picker.input(gains, *bars, **wide)
    third.expand(reliability, [*of_study, parts.width], [parts.notice, parts.reliability], **wide)


def wire_marks(
    parts: LinkedFigures,
    box: RowBox,
    plane: gr.HTML,
    similarity: gr.HTML,
    views: CompareViews,
    linked: LinkedViews,
) -> None:
    """Whatever is pressed in a figure opens an image's row, and a point shows its picture."""
    others = [parts.ours, parts.theirs]
    for figure, find in (
        (plane, linked.at_point),
        (similarity, linked.at_similarity),
        (parts.confusion, linked.at_confusion),
    ):
        _wire_mark(figure.select, [], find, box, views)
    _wire_mark(parts.gains.select, others, linked.at_gain, box, views)

    def at_button(study: object, seed: int | None, mark: object) -> object:
        return mark.get("index") if isinstance(mark, dict) else None  # checked with the row

    _wire_mark(parts.pairs.click, [], at_button, box, views)


def _wire_mark(
    happens: Callable[..., Any],
    more: list[Any],
    find: Callable[..., object],
    box: RowBox,
    views: CompareViews,
) -> None:
    """Open the image that ``find`` gives for the mark: of study, seed, ``more`` and the mark."""

    @shows_errors(KEPT)
    def press(event: gr.EventData, *values: Any) -> list[Any]:
        opening, extra = values[: len(box.opening)], values[len(box.opening) :]
        study, seed, *_ = opening
        if study is None:
            return [HIDDEN_NOTICE, gr.skip()]
        return box.open(views, ("test", find(study, seed, *extra, event._data)), *opening)

    done = happens(press, [*box.opening, *more], box.shown, **QUIET)
    remember(box, done).then(None, js=TO_THE_ROW, api_visibility="private")


def wire_thumbnails(plane: gr.HTML, thumb: gr.HTML, box: RowBox, linked: LinkedViews) -> None:
    """A point that is pointed at shows its picture."""

    def picture(study: str | None, seed: int | None, event: gr.EventData) -> str:
        return linked.thumbnail(study, seed, getattr(event, "index", None))

    plane.focus(picture, [box.study, box.seed], thumb, **HIDDEN)
