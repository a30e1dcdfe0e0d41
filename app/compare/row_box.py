"""The rows of heatmaps: which images, looked at how, and the link that leads back to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare.filters import ANY_PART, Filters, layout_filters
from app.compare.linked_views import LinkedViews
from app.compare.picked import Pick, Picked
from app.compare.view_link import OPACITY, LinkState
from app.compare.views import AUTOMATIC, METHODS, PREDICTED, CompareViews
from app.server.loader import light
from app.ui.notice import HIDDEN_NOTICE, KEPT, framed, notice_box, section, shows_errors
from dait.errors import UserError

WAITING = '<div class="ds-empty">One moment: loading the networks.</div>'
UPLOAD_TYPES = ["image"]
PHOTO_ID = "upload"
OWN_LAYER = ""
OWN_LAYERS = ("What suits each network", OWN_LAYER)
WHAT_EACH = ("What each predicts", PREDICTED)

# Private handlers can still be called directly, so what they take is checked in CompareViews.
QUIET: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4}
HIDDEN: dict[str, Any] = {**QUIET, "show_progress": "hidden"}
SET_OPACITY = "value => { document.documentElement.style.setProperty('--heat-opacity', value); }"
TO_THE_ROW = "() => window.daitLinks.showRows()"
PICK_SAMPLE = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('click', { index: Number(button.dataset.index) });
});
"""
ROWS = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-remove]');
  if (button) trigger('click', { place: Number(button.dataset.remove) });
});
const tell = () => window.daitLinks.rowsChanged(props.value);
watch('value', tell);
tell();
"""
ADDRESS = "watch('value', () => window.daitLinks.setAddress(props.value));"
COPY = "() => window.daitLinks.copy()"


@dataclass(frozen=True)
class RowBox:
    """The section's components; ``study`` and ``seed`` stand above it."""

    study: gr.Dropdown
    seed: gr.Dropdown
    filters: Filters
    gallery: gr.HTML
    keep: gr.Checkbox
    upload: gr.File
    method: gr.Dropdown
    layer: gr.Dropdown
    target: gr.Dropdown
    sentence: gr.Textbox
    opacity: gr.Slider
    picked: gr.State
    notice: gr.HTML
    row: gr.HTML
    link: gr.HTML
    copy: gr.Button

    @property
    def asked(self) -> list[Any]:
        """How images are looked at."""
        return [self.method, self.layer, self.target, self.sentence]

    @property
    def opening(self) -> list[Any]:
        """What ``open`` needs to know, after the pick."""
        return [self.study, self.seed, self.picked, self.keep, *self.asked]

    @property
    def shown(self) -> list[Any]:
        """What ``open`` changes."""
        return [self.notice, self.row]

    def open(
        self, views: CompareViews, pick: Pick, study: str, seed: int | None, picked: Picked,
        keep: bool, *asked: Any,
    ) -> list[Any]:  # fmt: skip
        """Show the row of ``pick``, below the others where they are kept.

        Only once the row is made: what is refused (``UserError``) leaves those before in place.
        """
        picks = picked.with_one_more(study, pick, keep)
        rows = views.rows(study, seed, picks, *asked)
        picked.put(study, *picks)
        return [HIDDEN_NOTICE, rows]

    def settle(self, view: LinkState, names: list[str]) -> list[Any]:
        """What ``settled`` gets where another study, or a link, is opened.

        names: of the classes.
        """
        layers = [OWN_LAYERS] + ([(view.layer, view.layer)] if view.layer else [])
        targets = [WHAT_EACH, *((name, index) for index, name in enumerate(names))]
        return [
            view.method,
            gr.update(choices=layers, value=view.layer),
            gr.update(choices=targets, value=view.target),
            view.sentence,
            view.opacity,
        ]

    @property
    def settled(self) -> list[Any]:
        return [*self.asked, self.opacity]


def layout_row(study: gr.Dropdown, seed: gr.Dropdown) -> RowBox:
    """Lay the section out."""
    section(
        "Where each network looks",
        "One image under every network. Pick a test image here or in any figure below, or upload a "
        "photograph: it is cut as the test images are.",
    )
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            filters = layout_filters()
            gallery = framed("", "gallery", js_on_load=PICK_SAMPLE)
        with gr.Column(scale=1, min_width=260):
            controls = _layout_controls()
    row_notice = notice_box("row-notice")
    row = gr.HTML(WAITING, elem_id="row", min_height=380, js_on_load=ROWS, apply_default_css=False)
    with gr.Row(elem_id="view-bar"):
        keep = gr.Checkbox(
            label="Keep the rows before", value=False, elem_id="keep", container=False, scale=3
        )
        copy = gr.Button("Copy link to this view", size="sm", elem_id="copy-link", scale=1)
    link = gr.HTML("", elem_id="view-link", js_on_load=ADDRESS, apply_default_css=False)
    picked = gr.State(Picked())
    upload, method, layer, target, sentence, opacity = controls
    return RowBox(
        *(study, seed, filters, gallery, keep, upload, method, layer, target, sentence, opacity),
        *(picked, row_notice, row, link, copy),
    )


def _layout_controls() -> tuple[Any, ...]:
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
        elem_id="method",
    )
    target = gr.Dropdown([WHAT_EACH], value=PREDICTED, label="Heatmap for", elem_id="target")
    opacity = gr.Slider(0, 1, value=OPACITY, step=0.05, label="Opacity", elem_id="opacity")
    with gr.Accordion("Layer and sentence", open=False, elem_id="more-ways"):
        layer = gr.Dropdown(
            [OWN_LAYERS],
            value=OWN_LAYER,
            label="Layer",
            info="Choose, or type a layer's name",
            allow_custom_value=True,
            elem_id="layer",
        )
        sentence = gr.Textbox(
            label="A sentence for the vision-language model",
            info="Its column then shows where it finds this. Press Enter",
            max_lines=1,
            elem_id="sentence",
        )
    return upload, method, layer, target, sentence, opacity


def wire_row(box: RowBox, views: CompareViews) -> None:
    """Wire everything below the gallery; ``compare_filters`` wires what fills it."""

    # Gradio puts the event where the signature names it: first, before whatever is asked.
    @shows_errors(KEPT)
    def pick_sample(event: gr.EventData, *values: Any) -> list[Any]:
        return box.open(views, ("test", getattr(event, "index", None)), *values)

    @shows_errors(KEPT)
    def upload(path: str | None, *values: Any) -> list[Any]:
        if path is None:
            return [gr.skip(), gr.skip()]
        return box.open(views, ("upload", path), *values)

    def remove(study: str, picked: Picked, event: gr.EventData) -> None:
        picked.remove(study, getattr(event, "place", None))

    show = rows_handler(views)
    again = [box.study, box.seed, box.picked, *box.asked]
    remember(box, box.gallery.click(pick_sample, box.opening, box.shown, **QUIET))
    remember(box, box.upload.upload(upload, [box.upload, *box.opening], box.shown, **QUIET))
    removed = box.row.click(remove, [box.study, box.picked], None, **HIDDEN)
    remember(box, removed.then(show, again, box.shown, **HIDDEN))
    for control in (box.method, box.layer, box.target):
        remember(box, control.input(show, again, box.shown, **QUIET))
    remember(box, box.sentence.submit(show, again, box.shown, **QUIET))
    box.opacity.input(
        None, box.opacity, None, js=SET_OPACITY, show_progress="hidden", api_visibility="private"
    )
    remember(box, box.opacity)
    box.copy.click(None, js=COPY, api_visibility="private")


def rows_handler(views: CompareViews) -> Callable[..., list[Any]]:
    """The handler that shows what is picked: of study, seed, ``Picked`` and ``RowBox.asked``."""

    @shows_errors(KEPT)
    def show(study: str | None, seed: int | None, picked: Picked, *asked: Any) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, ""]
        return [HIDDEN_NOTICE, picked.made(study, lambda p: views.rows(study, seed, p, *asked))]

    return show


def late_choices(views: CompareViews, linked: LinkedViews) -> Callable[..., list[Any]]:
    """The handler that lists layers and parts of the split, once there is a row to look at."""

    def late(study: str | None, seed: int | None) -> list[Any]:
        if study is None:
            return [gr.skip(), gr.skip()]
        try:
            layers, parts = views.layers(study, seed), linked.parts(study, seed)
        except UserError:  # whatever is wrong with the study stands above its figures
            return [gr.skip(), gr.skip()]
        return [
            gr.update(choices=[OWN_LAYERS, *layers]),
            gr.update(choices=[ANY_PART, *parts]),
        ]

    return late


def remember(box: RowBox, event: Any) -> Any:
    """After ``event`` (or when a slider is let go) the address says what is looked at."""

    @light
    def link(
        study: str | None, seed: int | None, picked: Picked, method: str, layer: str, target: int,
        sentence: str, opacity: float, right: list[str], wrong: list[str], label: int, part: str,
    ) -> str:  # fmt: skip
        if study is None:
            return ""
        images = tuple(value for kind, value in picked.of(study) if kind == "test")
        chosen = None if label in (None, -1) else label
        return LinkState(
            *(study, seed, images, method, layer or "", target, (sentence or "").strip()),
            *(tuple(right or ()), tuple(wrong or ()), chosen, part or "", opacity),
        ).query()

    known = [box.study, box.seed, box.picked, *box.settled, *box.filters.chosen]
    follow = event.release if isinstance(event, gr.Slider) else event.then
    return follow(link, known, box.link, **HIDDEN)
