"""The figures that compare networks class by class, folded until a visitor opens them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare.linked_views import LinkedViews
from app.compare.row_box import (
    CHOOSE,
    TO_THE_ROW,
    WITH_DATA,
    WITH_DATA_HIDDEN,
    RowBox,
    update_link,
)
from app.compare.views import CompareViews
from app.ui.buttons import SEND_INDEX
from app.ui.notice import Update, notice_box, section, shows_errors
from app.ui.plot import WIDE, panel_columns, plot_box

WITH_WIDTH = "(...values) => [...values.slice(0, -1), window.innerWidth]"


@dataclass(frozen=True)
class LinkedFigures:
    """The folded figures and the choices of networks in them."""

    confusion_fold: gr.Accordion
    confusion: gr.HTML
    pairs_of: gr.Dropdown
    pairs: gr.HTML
    gains_fold: gr.Accordion
    ours: gr.Dropdown
    theirs: gr.Dropdown
    gains: gr.HTML
    reliability_fold: gr.Accordion
    reliability: gr.HTML
    notice: gr.HTML
    width: gr.Number

    @property
    def reset_outputs(self) -> list[Any]:
        """What ``reset`` changes."""
        folds = [self.confusion_fold, self.gains_fold, self.reliability_fold]
        figures = [self.confusion, self.pairs, self.gains, self.reliability]
        return [*folds, self.pairs_of, self.ours, self.theirs, *figures]

    def reset(self, networks: list[tuple[str, str]]) -> Update:
        """For another study or seed: fold everything; each is drawn again when it is opened."""
        roles = [role for _, role in networks]
        theirs = "direct" if "direct" in roles[:-1] else roles[0]
        return {
            self.confusion_fold: gr.update(open=False),
            self.gains_fold: gr.update(open=False),
            self.reliability_fold: gr.update(open=False),
            self.pairs_of: gr.update(choices=networks, value=roles[-1]),
            self.ours: gr.update(choices=networks, value=roles[-1]),
            self.theirs: gr.update(choices=networks, value=theirs),
            self.confusion: None,
            self.pairs: "",
            self.gains: None,
            self.reliability: None,
        }


def layout_linked_figures() -> LinkedFigures:
    """Lay them out."""
    section(
        "Where they differ",
        "Class by class, and how confident each network is. Press a cell or a bar to see an image "
        "behind it under every network.",
    )
    message = notice_box("linked-notice")
    with gr.Accordion("Confusion matrices", open=False, elem_id="fold-confusion") as confusion_fold:
        confusion = plot_box(
            "Confusion matrices, one per network", 500, elem_id="confusion", marks="cells"
        )
        pairs_of = gr.Dropdown([], label="Most confused by", elem_id="pairs-of")
        pairs = gr.HTML("", elem_id="pairs", js_on_load=SEND_INDEX, apply_default_css=False)
    with gr.Accordion("Gains by class", open=False, elem_id="fold-gains") as gains_fold:
        with gr.Row():
            ours = gr.Dropdown([], label="Network", min_width=200, elem_id="gains-ours")
            theirs = gr.Dropdown([], label="Compared with", min_width=200, elem_id="gains-theirs")
        gains = plot_box(
            "Gain in accuracy of one network over another on every class",
            470,
            elem_id="gains",
            marks="cells",
        )
    with gr.Accordion("Calibration", open=False, elem_id="fold-reliability") as reliability_fold:
        reliability = plot_box("Reliability diagrams, one per network", 430, elem_id="reliability")
    return LinkedFigures(
        confusion_fold=confusion_fold,
        confusion=confusion,
        pairs_of=pairs_of,
        pairs=pairs,
        gains_fold=gains_fold,
        ours=ours,
        theirs=theirs,
        gains=gains,
        reliability_fold=reliability_fold,
        reliability=reliability,
        notice=message,
        width=gr.Number(WIDE, visible=False),
    )


def wire_linked_figures(parts: LinkedFigures, box: RowBox, linked: LinkedViews) -> None:
    """Draw each when its fold is opened, and again when another network is chosen."""

    @shows_errors(parts.notice, {parts.confusion: None, parts.pairs: ""})
    def confusion(study: str | None, seed: Any, role: str, width: float) -> Update:
        if study is None:
            return {parts.confusion: None, parts.pairs: ""}
        figure = linked.confusion(study, seed, min(2, panel_columns(width)))
        return {parts.confusion: figure, parts.pairs: linked.pairs(study, seed, role)}

    @shows_errors(parts.notice, {parts.pairs: ""})
    def pairs(study: str | None, seed: Any, role: str) -> Update:
        return {parts.pairs: linked.pairs(study, seed, role) if study else ""}

    @shows_errors(parts.notice, {parts.gains: None})
    def gains(study: str | None, seed: Any, ours: str, theirs: str, width: float) -> Update:
        if study is None:
            return {parts.gains: None}
        return {parts.gains: linked.gains(study, seed, ours, theirs, panel_columns(width))}

    @shows_errors(parts.notice, {parts.reliability: None})
    def reliability(study: str | None, seed: Any, width: float) -> Update:
        if study is None:
            return {parts.reliability: None}
        return {parts.reliability: linked.reliability(study, seed, panel_columns(width))}

    study = [box.study, box.seed]
    wide: dict[str, Any] = {**CHOOSE, "js": WITH_WIDTH}
    parts.confusion_fold.expand(
        confusion,
        [*study, parts.pairs_of, parts.width],
        [parts.notice, parts.confusion, parts.pairs],
        **wide,
    )
    parts.pairs_of.input(pairs, [*study, parts.pairs_of], [parts.notice, parts.pairs], **CHOOSE)
    for event in (parts.gains_fold.expand, parts.ours.input, parts.theirs.input):
        event(
            gains,
            [*study, parts.ours, parts.theirs, parts.width],
            [parts.notice, parts.gains],
            **wide,
        )
    parts.reliability_fold.expand(
        reliability, [*study, parts.width], [parts.notice, parts.reliability], **wide
    )


def wire_marks(
    parts: LinkedFigures,
    box: RowBox,
    tsne: gr.HTML,
    similarity: gr.HTML,
    views: CompareViews,
    linked: LinkedViews,
) -> None:
    """A pressed mark of a figure opens its image's row."""
    for figure, find in (
        (tsne, linked.at_point),
        (similarity, linked.at_similarity),
        (parts.confusion, linked.at_confusion),
    ):
        _wire_mark(figure.select, [], find, box, views)
    _wire_mark(parts.gains.select, [parts.ours, parts.theirs], linked.at_gain, box, views)

    def at_button(study: object, seed: int | None, mark: object) -> object:
        return mark.get("index") if isinstance(mark, dict) else None  # checked with the row

    _wire_mark(parts.pairs.click, [], at_button, box, views)


def _wire_mark(
    event: Callable[..., Any],
    more: list[Any],
    find: Callable[..., object],
    box: RowBox,
    views: CompareViews,
) -> None:
    """Open the image that ``find`` returns for study, seed, ``more`` and the mark."""

    @shows_errors(box.notice)
    def open_mark(event: gr.EventData, *values: Any) -> Update:
        inputs, extra = values[: len(box.inputs)], values[len(box.inputs) :]
        study, seed, *_ = inputs
        if study is None:
            return {}
        return box.open(views, ("test", find(study, seed, *extra, event._data)), *inputs)

    done = event(open_mark, [*box.inputs, *more], box.outputs, **WITH_DATA)
    update_link(box, done).then(None, js=TO_THE_ROW, api_visibility="private")


def wire_thumbnails(tsne: gr.HTML, thumbnail: gr.HTML, box: RowBox, linked: LinkedViews) -> None:
    """A point under the pointer shows its picture."""

    def picture(study: str | None, seed: int | None, event: gr.EventData) -> str:
        return linked.thumbnail(study, seed, getattr(event, "index", None))

    tsne.focus(picture, [box.study, box.seed], thumbnail, **WITH_DATA_HIDDEN)
