"""The rows of heatmaps: which images, explained how, and the link that leads back to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare.filters import ANY_PART, NO_MATCH, Filters, layout_filters
from app.compare.linked_views import LinkedViews
from app.compare.selection import ImageRef, Selection
from app.compare.view_link import OPACITY, LinkState
from app.compare.views import AUTOMATIC, METHODS, PREDICTED, CompareViews
from app.server.loader import light
from app.ui.buttons import SEND_INDEX
from app.ui.events import EVERY, LAST, PRIVATE, QUIET
from app.ui.notice import HIDDEN_NOTICE, Update, empty, framed, notice_box, section, shows_errors
from dait.errors import UserError

WAITING = empty("One moment: loading the networks.")
UPLOAD_TYPES = ["image"]
PHOTO_ID = "upload"
DEFAULT_LAYER = ""
DEFAULT_LAYERS = ("Default of each network", DEFAULT_LAYER)
PREDICTED_CLASS = ("Predicted class of each", PREDICTED)

# Private handlers can still be called directly, so CompareViews checks their values.
CHOOSE: dict[str, Any] = {**PRIVATE, **LAST, "concurrency_limit": 4}
HIDDEN: dict[str, Any] = {**CHOOSE, **QUIET}
WITH_DATA: dict[str, Any] = {**CHOOSE, **EVERY}
WITH_DATA_HIDDEN: dict[str, Any] = {**HIDDEN, **EVERY}
SET_OPACITY = "value => { document.documentElement.style.setProperty('--heat-opacity', value); }"
TO_THE_ROW = "() => window.daitLinks.showRows()"
ROWS = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-remove]');
  if (button) trigger('click', { position: Number(button.dataset.remove) });
});
const tell = () => window.daitLinks.rowsChanged(props.value);
watch('value', tell);
tell();
"""
ADDRESS = "watch('value', () => window.daitLinks.setAddress(props.value));"
COPY = "() => window.daitLinks.copy()"


@dataclass(frozen=True)
class Controls:
    """The photograph to upload, and how images are explained."""

    upload: gr.File
    method: gr.Dropdown
    layer: gr.Dropdown
    target: gr.Dropdown
    sentence: gr.Textbox
    opacity: gr.Slider

    @property
    def query(self) -> list[Any]:
        """The ``query`` of ``CompareViews.rows``."""
        return [self.method, self.layer, self.target, self.sentence]


@dataclass(frozen=True)
class RowBox:
    """The section's components; ``study`` and ``seed`` are above it."""

    study: gr.Dropdown
    seed: gr.Dropdown
    filters: Filters
    gallery: gr.HTML
    controls: Controls
    keep: gr.Checkbox
    selection: gr.State
    notice: gr.HTML
    row: gr.HTML
    link: gr.HTML
    copy: gr.Button

    @property
    def inputs(self) -> list[Any]:
        """The inputs of ``open``, after the image."""
        return [self.study, self.seed, self.selection, self.keep, *self.controls.query]

    @property
    def outputs(self) -> list[Any]:
        """What ``open`` changes."""
        return [self.notice, self.row]

    def open(
        self,
        views: CompareViews,
        image: ImageRef,
        study: str,
        seed: int | None,
        selection: Selection,
        keep: bool,
        *query: Any,
    ) -> Update:
        """Show the row of ``image``, below the earlier ones where they are kept.

        An image that is refused (``UserError``) leaves the selection unchanged.
        """
        images = selection.with_image(study, image, keep)
        rows = views.rows(study, seed, images, *query)
        selection.set(study, *images)
        return {self.row: rows}

    @property
    def reset_outputs(self) -> list[Any]:
        """What ``reset`` changes."""
        return [*self.controls.query, self.controls.opacity]

    def reset(self, view: LinkState, class_names: list[str]) -> Update:
        """The controls for another study, or for a link."""
        controls = self.controls
        layers = [DEFAULT_LAYERS] + ([(view.layer, view.layer)] if view.layer else [])
        targets = [PREDICTED_CLASS, *((name, index) for index, name in enumerate(class_names))]
        return {
            controls.method: view.method,
            controls.layer: gr.update(choices=layers, value=view.layer),
            controls.target: gr.update(choices=targets, value=view.target),
            controls.sentence: view.sentence,
            controls.opacity: view.opacity,
        }


def layout_row(study: gr.Dropdown, seed: gr.Dropdown) -> RowBox:
    """Lay the section out."""
    section(
        "Where each network looks",
        "One image under every network. Choose a test image here or in any figure below, or upload "
        "a photograph: it is cropped like the test images.",
    )
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            filters = layout_filters()
            gallery = framed("", "gallery", js_on_load=SEND_INDEX)
        with gr.Column(scale=1, min_width=260):
            controls = _layout_controls()
    row_notice = notice_box("row-notice")
    row = gr.HTML(WAITING, elem_id="row", min_height=380, js_on_load=ROWS, apply_default_css=False)
    with gr.Row(elem_id="view-bar"):
        keep = gr.Checkbox(
            label="Keep earlier rows", value=False, elem_id="keep", container=False, scale=3
        )
        copy = gr.Button("Copy link to this view", size="sm", elem_id="copy-link", scale=1)
    link = gr.HTML("", elem_id="view-link", js_on_load=ADDRESS, apply_default_css=False)
    return RowBox(
        study=study,
        seed=seed,
        filters=filters,
        gallery=gallery,
        controls=controls,
        keep=keep,
        selection=gr.State(Selection()),
        notice=row_notice,
        row=row,
        link=link,
        copy=copy,
    )


def _layout_controls() -> Controls:
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
        info="Default: Grad-CAM, or LayerCAM for a vision transformer",
        elem_id="method",
    )
    target = gr.Dropdown([PREDICTED_CLASS], value=PREDICTED, label="Heatmap for", elem_id="target")
    opacity = gr.Slider(0, 1, value=OPACITY, step=0.05, label="Opacity", elem_id="opacity")
    with gr.Accordion("Layer and sentence", open=False, elem_id="more-ways"):
        layer = gr.Dropdown(
            [DEFAULT_LAYERS],
            value=DEFAULT_LAYER,
            label="Layer",
            info="Choose, or type a layer's name",
            allow_custom_value=True,
            elem_id="layer",
        )
        sentence = gr.Textbox(
            label="A sentence for the frozen teacher",
            info="Its heatmap then shows this sentence. Press Enter",
            max_lines=1,
            elem_id="sentence",
        )
    return Controls(
        upload=upload, method=method, layer=layer, target=target, sentence=sentence, opacity=opacity
    )


def wire_row(box: RowBox, views: CompareViews) -> None:
    """Wire everything but what fills the gallery."""
    controls = box.controls
    show = rows_handler(views, box)

    # Gradio passes the event first, where the signature has it.
    @shows_errors(box.notice)
    def open_sample(event: gr.EventData, *values: Any) -> Update:
        return box.open(views, ("test", getattr(event, "index", None)), *values)

    @shows_errors(box.notice)
    def open_upload(path: str | None, *values: Any) -> Update:
        if path is None:
            return {}
        return box.open(views, ("upload", path), *values)

    @shows_errors(box.notice)
    def clear_upload(study: str, seed: int | None, selection: Selection, *query: Any) -> Update:
        if not study or not selection.drop_uploads(study):
            return {box.notice: HIDDEN_NOTICE}
        if not selection.of(study):
            _, first = views.gallery(study, seed)
            selection.set(study, ("test", first))
        return show(study, seed, selection, *query)

    def remove(study: str, selection: Selection, event: gr.EventData) -> None:
        selection.remove(study, getattr(event, "position", None))

    inputs = [box.study, box.seed, box.selection, *controls.query]
    update_link(box, box.gallery.click(open_sample, box.inputs, box.outputs, **WITH_DATA))
    update_link(box, controls.upload.clear(clear_upload, inputs, box.outputs, **CHOOSE))
    uploaded = [controls.upload, *box.inputs]
    update_link(box, controls.upload.upload(open_upload, uploaded, box.outputs, **CHOOSE))
    removed = box.row.click(remove, [box.study, box.selection], None, **WITH_DATA_HIDDEN)
    update_link(box, removed.then(show, inputs, box.outputs, **HIDDEN))
    for control in (controls.method, controls.layer, controls.target):
        update_link(box, control.input(show, inputs, box.outputs, **CHOOSE))
    update_link(box, controls.sentence.submit(show, inputs, box.outputs, **CHOOSE))
    controls.opacity.input(
        None,
        controls.opacity,
        None,
        js=SET_OPACITY,
        show_progress="hidden",
        api_visibility="private",
    )
    update_link(box, controls.opacity)
    box.copy.click(None, js=COPY, api_visibility="private")


def rows_handler(views: CompareViews, box: RowBox) -> Callable[..., Update]:
    """The handler that shows the selected images, of study, seed, ``Selection`` and the query."""

    @shows_errors(box.notice, {box.row: ""})
    def show_rows(study: str | None, seed: int | None, selection: Selection, *query: Any) -> Update:
        if study is None:
            return {box.row: ""}
        if not selection.of(study):
            return {box.row: NO_MATCH}
        return {
            box.row: selection.compute(study, lambda refs: views.rows(study, seed, refs, *query))
        }

    return show_rows


def late_choices(views: CompareViews, linked: LinkedViews, box: RowBox) -> Callable[..., Update]:
    """The handler that lists the layers and the parts of the split, once there is a row."""

    def list_choices(study: str | None, seed: int | None) -> Update:
        layer, part = box.controls.layer, box.filters.part
        if study is None:
            return {layer: gr.skip()}
        try:
            layers, parts = views.layers(study, seed), linked.parts(study, seed)
        except UserError:  # the notice above the figures shows it
            return {layer: gr.skip()}
        return {
            layer: gr.update(choices=[DEFAULT_LAYERS, *layers]),
            part: gr.update(choices=[ANY_PART, *parts]),
        }

    return list_choices


def update_link(box: RowBox, event: Any) -> Any:
    """After ``event`` (or when a slider is released), write the view into the address."""

    @light
    def link(
        study: str | None,
        seed: int | None,
        selection: Selection,
        method: str,
        layer: str,
        target: int,
        sentence: str,
        opacity: float,
        right: list[str],
        wrong: list[str],
        label: int,
        part: str,
    ) -> str:
        if study is None:
            return ""
        return LinkState(
            study=study,
            seed=seed,
            images=tuple(value for kind, value in selection.of(study) if kind == "test"),
            method=method,
            layer=layer or "",
            target=target,
            sentence=(sentence or "").strip(),
            right=tuple(right or ()),
            wrong=tuple(wrong or ()),
            label=None if label in (None, -1) else label,
            part=part or "",
            opacity=opacity,
        ).query()

    inputs = [box.study, box.seed, box.selection, *box.reset_outputs, *box.filters.conditions]
    follow = event.release if isinstance(event, gr.Slider) else event.then
    return follow(link, inputs, box.link, **HIDDEN)
