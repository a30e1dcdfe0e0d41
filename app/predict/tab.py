"""The Predict tab: photographs in, what every network of a study says of them out."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.compare.tab import CompareTab
from app.predict.html import batch_html, photo_html
from app.predict.views import MOST_PHOTOS, PredictViews
from app.ui.notice import HIDDEN_NOTICE, notice, notice_box, section
from dait.errors import UserError

EMPTY = (
    '<div class="ds-empty">Give one photograph to see what every network takes it for and where it '
    "looks, or several for a table.</div>"
)
PHOTOS_ID = "photos"
_PROGRESS = gr.Progress()

# Private handlers can still be called directly, so what they take is checked in PredictViews.
QUIET: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}


def build_predict_tab(panel: gr.Tab, compare: CompareTab) -> None:
    """Lay the tab out inside ``panel``, which is the current ``gr.Tab``, and wire it.

    compare: whose studies can be asked, and whose networks are kept.
    """
    views = PredictViews(compare.views.comparisons)
    section(
        "Predict",
        f"Every network of a study looks at your photographs, at most {MOST_PHOTOS} of 20 MB at "
        "once. Each is cut as the test images are, and deleted within two hours.",
    )
    study = gr.Dropdown([], label="Study", elem_id="predict-study")
    with gr.Row():
        photos = gr.File(
            label="Photographs (one, or several for a table)",
            file_count="multiple",
            file_types=["image"],
            height=220,
            scale=3,
            min_width=300,
            elem_id=PHOTOS_ID,
        )
        snapshot = gr.Image(
            label="From the clipboard or the camera",
            sources=["clipboard", "webcam"],
            type="filepath",
            image_mode=None,
            height=220,
            scale=2,
            min_width=280,
            buttons=[],
            elem_id="snapshot",
        )
    message = notice_box("predict-notice")
    result = gr.HTML(EMPTY, elem_id="predicted", min_height=120, apply_default_css=False)
    last = gr.State(())
    _wire(views, study, photos, snapshot, message, result, last)
    panel.select(compare.refreshed, study, study, api_visibility="private", show_progress="hidden")


def _wire(
    views: PredictViews,
    study: gr.Dropdown,
    photos: gr.File,
    snapshot: gr.Image,
    message: gr.HTML,
    result: gr.HTML,
    last: gr.State,
) -> None:
    def predict(study_id: object, files: object, progress: gr.Progress = _PROGRESS) -> list[Any]:
        paths = tuple(files) if isinstance(files, (list, tuple)) else (files,) if files else ()
        if not paths:
            return [gr.skip(), gr.skip(), gr.skip()]
        try:
            if len(paths) == 1:
                explained = views.one(study_id, paths[0])
                return [_told(explained.left_out), photo_html(explained), paths]
            predictions = views.many(
                study_id,
                paths,
                lambda done, total: progress((done, total), desc="Looking", unit="photographs"),
            )
            sentences = [*predictions.problems, *predictions.left_out]
            return [_told(sentences), batch_html(predictions), paths]
        except UserError as error:
            return [notice(str(error)), EMPTY, ()]

    outputs = [message, result, last]
    shown: dict[str, Any] = {**QUIET, "show_progress_on": result}
    photos.upload(predict, [study, photos], outputs, **shown)
    snapshot.input(predict, [study, snapshot], outputs, **shown)
    study.input(predict, [study, last], outputs, **shown)


def _told(sentences: list[str]) -> str:
    return notice("\n".join(sentences)) if sentences else HIDDEN_NOTICE
