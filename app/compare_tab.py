"""The Compare tab: one study's networks side by side, in figures and on one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import gradio as gr

from app.compare_views import AUTOMATIC, METHODS, PREDICTED, CompareViews
from app.libraries import first_view_is_out, light
from app.notice import HIDDEN_NOTICE, framed, notice, notice_box, section
from app.picked import Pick, Picked
from app.plot import WIDE, panel_columns, plot_box
from dait.errors import UserError

EMPTY = (
    '<div class="ds-empty">No finished study yet. Train one in the Train tab: it appears here as '
    "soon as it has finished.</div>"
)
WAITING = '<div class="ds-empty">One moment: loading the networks.</div>'
UPLOAD_TYPES = ["image"]
PHOTO_ID = "upload"

# Private handlers can still be called directly, so what they take is checked in CompareViews.
KEPT = object()
QUIET: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4}
WITH_WIDTH = "(study, seed, _) => [study, seed, window.innerWidth]"
SET_OPACITY = "value => { document.documentElement.style.setProperty('--heat-opacity', value); }"
# Only once the photograph is what is shown: a refused one leaves the sample image in its place.
UNPRESS = """() => setTimeout(() => {
  if (!document.querySelector('#row [data-kind="upload"]')) return;
  document.querySelectorAll('.ds-gallery button[aria-pressed="true"]')
    .forEach(button => button.setAttribute('aria-pressed', 'false'));
}, 100)"""
PICK_SAMPLE = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-index]');
  if (!button) return;
  element.querySelectorAll('button').forEach(other =>
    other.setAttribute('aria-pressed', String(other === button)));
  trigger('click', { index: Number(button.dataset.index) });
});
"""


@dataclass(frozen=True)
class CompareTab:
    """What the rest of the page needs of the tab."""

    study: gr.Dropdown
    views: CompareViews
    picked: gr.State
    turns: gr.State
    row: gr.HTML

    @property
    def showing(self) -> list[Any]:
        """What ``show`` needs to know."""
        return [self.study, self.picked, self.turns]

    @property
    def shown(self) -> list[Any]:
        """What ``show`` changes."""
        return [self.study, self.turns, self.row]

    def show(
        self, study: object, index: object, current: str | None, picked: Picked, turns: int
    ) -> list[Any]:
        """Show the row of heatmaps of a study's test image.

        Raises ``UserError`` for a study or an image that is not there.
        """
        pick: Pick = ("test", index)
        self.views.check(study, pick)
        picked.put(str(study), pick)
        if study == current:
            return [gr.skip(), turns + 1, WAITING]
        return [self.refreshed(str(study)), gr.skip(), WAITING]

    @light
    def refreshed(self, chosen: str | None = None) -> Any:
        """The list of studies anew, with ``chosen`` (or the first) selected."""
        choices = self.views.choices()
        ids = [study_id for _, study_id in choices]
        first = ids[0] if ids else None
        return gr.update(choices=choices, value=chosen if chosen in ids else first)

    @light
    def kept(self, current: str | None) -> Any:
        """The list of studies anew, leaving the selection alone where there is one."""
        return gr.update(choices=self.views.choices()) if current else self.refreshed()


@dataclass(frozen=True)
class _Parts:
    study: gr.Dropdown
    seed: gr.Dropdown
    width: gr.Number
    notice: gr.HTML
    table: gr.HTML
    bars: gr.HTML
    slices: gr.HTML
    gallery: gr.HTML
    upload: gr.File
    method: gr.Dropdown
    target: gr.Dropdown
    opacity: gr.Slider
    picked: gr.State
    turns: gr.State
    row_notice: gr.HTML
    row: gr.HTML
    plane: gr.HTML
    similarity: gr.HTML
    representation: gr.HTML


def build_compare_tab(views: CompareViews) -> CompareTab:
    """Lay the tab out inside the current ``gr.Tab`` and wire it."""
    parts = _layout(views.first_table() or WAITING)
    _wire_study(parts, views)
    _wire_row(parts, views)
    return CompareTab(parts.study, views, parts.picked, parts.turns, parts.row)


def _layout(first_table: str) -> _Parts:
    with gr.Row(equal_height=True):
        study = gr.Dropdown([], label="Study", scale=4, min_width=260, elem_id="study")
        seed = gr.Dropdown([], label="Seed", scale=1, min_width=110, visible=False)
    width = gr.Number(WIDE, visible=False)
    top_notice = notice_box("compare-notice")
    section(
        "Accuracy and cost",
        "Every student was trained on the same images, with the same seeds and schedule. DAIT "
        "trains its intermediate teacher besides.",
    )
    table = framed(first_table, "table")
    with gr.Row():
        with gr.Column(min_width=320):
            bars = plot_box("Test accuracy of every network", 380, elem_id="bars")
        with gr.Column(min_width=320):
            slices = plot_box("Accuracy on familiar and unfamiliar backgrounds", 380)
    gallery, upload, method, target, opacity, row_notice, row = _layout_row()
    section(
        "How the classes lie",
        "The same test images through every network: t-SNE of the features, then the similarity of "
        "the classes' mean features on one scale.",
    )
    plane = plot_box("t-SNE map of the test images, one panel a network", 796, elem_id="plane")
    similarity = plot_box("Class similarity matrices, one a network", 858, elem_id="similarity")
    representation = framed("", "representation")
    return _Parts(
        *(study, seed, width, top_notice, table, bars, slices),
        *(gallery, upload, method, target, opacity),
        # Turns are counted to show another image of the same study.
        *(gr.State(Picked()), gr.State(0), row_notice, row),
        *(plane, similarity, representation),
    )


def _layout_row() -> tuple[Any, ...]:
    section(
        "Where each network looks",
        "One image under every network. Pick a test image, or upload a photograph: it is cut to "
        "its centre square.",
    )
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            gallery = framed("", "gallery", js_on_load=PICK_SAMPLE)
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(
                label="Your photograph (at most 20 MB)",
                file_types=UPLOAD_TYPES,
                height=150,
                elem_id=PHOTO_ID,
            )
            method = gr.Dropdown(
                [(label, key) for key, label in METHODS.items()],
                value=AUTOMATIC,
                label="Method",
                info="By default Grad-CAM, and LayerCAM for a vision transformer",
            )
            target = gr.Dropdown(
                [("What each predicts", PREDICTED)], value=PREDICTED, label="Heatmap for"
            )
            opacity = gr.Slider(0, 1, value=0.6, step=0.05, label="Opacity")
    row_notice = notice_box("row-notice")
    row = gr.HTML(WAITING, elem_id="row", min_height=380, apply_default_css=False)
    return gallery, upload, method, target, opacity, row_notice, row


def _wire_study(parts: _Parts, views: CompareViews) -> None:
    sampled = [parts.study, parts.seed, parts.picked]
    gallery = [parts.row_notice, parts.gallery]
    row = (_row_handler(views), _row_inputs(parts), [parts.row_notice, parts.row])

    # A study that cannot be opened must not stand above the figures of the one before it.
    @light
    @_told(KEPT, KEPT, "", "", "")
    def overview(study: str | None, seed: int | None) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, gr.skip(), gr.skip(), EMPTY, "", ""]
        found = views.overview(study, seed)
        seeds = gr.update(
            choices=[(f"{number}", number) for number in found.seeds],
            value=found.seed,
            visible=len(found.seeds) > 1,
        )
        names = [(name, index) for index, name in enumerate(found.classes)]
        targets = [("What each predicts", PREDICTED), *names]
        target = gr.update(choices=targets, value=PREDICTED)
        slices = gr.update(value=found.slices, visible=found.slices is not None)
        return [HIDDEN_NOTICE, seeds, target, found.table, found.bars, slices]

    @light
    @_told("")
    def samples(study: str | None, seed: int | None, picked: Picked) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, ""]
        gallery, first = picked.made(study, lambda pick: views.gallery(study, seed, pick))
        if picked.of(study) is None:
            picked.put(study, ("test", first))
        # Asked for once the table is there; what comes next needs the libraries.
        first_view_is_out()
        return [HIDDEN_NOTICE, gallery]

    @light
    @_told("", "")
    def space(study: str | None, seed: int | None, width: float) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, "", ""]
        columns = panel_columns(width)
        plane = views.plane(study, seed, columns)
        return [HIDDEN_NOTICE, plane, views.similarity(study, seed, columns)]

    @_told("")
    def features(study: str | None, seed: int | None) -> list[Any]:
        return [HIDDEN_NOTICE, views.representation(study, seed) if study else ""]

    head = [parts.notice, parts.seed, parts.target, parts.table, parts.bars, parts.slices]
    figures = [parts.notice, parts.plane, parts.similarity]
    figures_of_features = [parts.notice, parts.representation]
    # Another study starts with its own first seed, whatever seed the former one showed.
    for event, seed in ((parts.study.change, gr.State(None)), (parts.seed.input, parts.seed)):
        event(overview, [parts.study, seed], head, **QUIET).then(
            samples, sampled, gallery, **QUIET
        ).then(*row, **QUIET)
        event(space, [parts.study, seed, parts.width], figures, js=WITH_WIDTH, **QUIET).then(
            features, [parts.study, seed], figures_of_features, **QUIET
        )
    parts.turns.change(samples, sampled, gallery, **QUIET).then(*row, **QUIET)


def _wire_row(parts: _Parts, views: CompareViews) -> None:
    shown = [parts.row_notice, parts.row]

    def shown_from_now(
        pick: Pick, study: str, seed: int | None, picked: Picked, method: str, target: int
    ) -> list[Any]:
        # Only once the row is made: what is refused leaves the image before in its place.
        row = views.row(study, seed, pick, method, target)
        picked.put(study, pick)
        return [HIDDEN_NOTICE, row]

    @_told(KEPT)
    def pick_sample(
        study: str, seed: int | None, picked: Picked, method: str, target: int, event: gr.EventData
    ) -> list[Any]:
        pick: Pick = ("test", getattr(event, "index", None))
        return shown_from_now(pick, study, seed, picked, method, target)

    @_told(KEPT)
    def upload(
        study: str, seed: int | None, picked: Picked, method: str, target: int, path: str | None
    ) -> list[Any]:
        if path is None:
            return [gr.skip(), gr.skip()]
        return shown_from_now(("upload", path), study, seed, picked, method, target)

    inputs = _row_inputs(parts)
    parts.gallery.click(pick_sample, inputs, shown, **QUIET)
    parts.upload.upload(upload, [*inputs, parts.upload], shown, **QUIET).success(
        None, js=UNPRESS, api_visibility="private"
    )
    for control in (parts.method, parts.target):
        control.input(_row_handler(views), inputs, shown, **QUIET)
    parts.opacity.input(
        None, parts.opacity, None, js=SET_OPACITY, show_progress="hidden", api_visibility="private"
    )


def _row_inputs(parts: _Parts) -> list[Any]:
    return [parts.study, parts.seed, parts.picked, parts.method, parts.target]


def _row_handler(views: CompareViews) -> Callable[..., list[Any]]:
    @_told(KEPT)
    def show(
        study: str | None, seed: int | None, picked: Picked, method: str, target: int
    ) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, ""]

        def row(pick: Pick | None) -> str:
            return views.row(study, seed, pick, method, target) if pick else ""

        return [HIDDEN_NOTICE, picked.made(study, row)]

    return show


def _told(*otherwise: Any) -> Callable[[Callable[..., list[Any]]], Callable[..., list[Any]]]:
    """A handler whose first output is a notice: a ``UserError`` is said there.

    The other outputs then get ``otherwise``: ``KEPT`` where what was there still holds.
    """

    def decorate(handler: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        @wraps(handler)
        def told(*values: Any) -> list[Any]:
            try:
                return handler(*values)
            except UserError as error:
                rest = [gr.skip() if value is KEPT else value for value in otherwise]
                return [notice(str(error)), *rest]

        return told

    return decorate
