"""The Predict tab: every network's predictions for a visitor's photographs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.comparisons.cache import Comparisons
from app.predict.html import batch_html, photo_html
from app.predict.views import MAX_PHOTOS, PredictViews
from app.ui.events import EVERY, LAST, PRIVATE
from app.ui.notice import HIDDEN_NOTICE, Update, empty, notice, notice_box, section
from dait.errors import UserError

EMPTY = empty(
    "Upload one photograph to see every network's prediction and heatmap, or several for a table."
)
PHOTOS_ID = "photos"
_PROGRESS = gr.Progress()
PICK = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-photo]');
  if (!button) return;
  element.querySelectorAll('button[data-photo]').forEach(other =>
    other.setAttribute('aria-pressed', String(other === button)));
  trigger('click', { photo: Number(button.dataset.photo) });
});
"""
TO_THE_PHOTO = (
    "() => document.querySelector('#predicted-photo')?.scrollIntoView({ block: 'nearest' })"
)

# Private handlers can still be called directly, so PredictViews checks their values.
CHOOSE: dict[str, Any] = {**PRIVATE, **LAST, "concurrency_limit": 2}


def build_predict_tab(study: gr.Dropdown, comparisons: Comparisons) -> None:
    """Lay the tab out inside the current ``gr.Tab`` and wire it. study: whose networks answer."""
    section(
        "Predict",
        f"Every network of a study classifies your photographs, at most {MAX_PHOTOS} of 20 MB at "
        "once. Each is cropped like the test images, and deleted within two hours.",
    )
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
    result = gr.HTML(
        EMPTY, js_on_load=PICK, elem_id="predicted", min_height=120, apply_default_css=False
    )
    chosen = gr.HTML("", elem_id="predicted-photo", apply_default_css=False)
    last = gr.State(())
    views = PredictViews(comparisons)

    def predict(study_id: object, files: object, progress: gr.Progress = _PROGRESS) -> Update:
        paths = tuple(files) if isinstance(files, (list, tuple)) else (files,) if files else ()
        if not paths:
            return {message: HIDDEN_NOTICE, result: EMPTY, chosen: "", last: ()}
        try:
            if len(paths) == 1:
                explained = views.one(study_id, paths[0])
                problems, html = explained.left_out, photo_html(explained)
            else:
                predictions = views.many(
                    study_id,
                    paths,
                    lambda done, total: progress(
                        (done, total), desc="Predicting", unit="photographs"
                    ),
                )
                problems = [*predictions.problems, *predictions.left_out]
                html = batch_html(predictions)
        except UserError as error:
            return {message: notice(str(error)), result: EMPTY, chosen: "", last: ()}
        text = notice("\n".join(problems)) if problems else HIDDEN_NOTICE
        return {message: text, result: html, chosen: "", last: paths}

    def predict_again(
        study_id: object, files: tuple[str, ...], progress: gr.Progress = _PROGRESS
    ) -> Update:
        # Without photographs there is nothing to change; the answer may come after that to a
        # photograph that was chosen meanwhile.
        return predict(study_id, files, progress) if files else {message: gr.skip()}

    def look(study_id: object, files: tuple[str, ...], event: gr.EventData) -> str:
        """The heatmaps of a photograph of the table."""
        index = getattr(event, "photo", None)
        if not isinstance(index, int) or not 0 <= index < len(files):
            return notice("Choose a photograph of the table.")
        try:
            return photo_html(views.one(study_id, files[index]))
        except UserError as error:
            return notice(str(error))

    outputs = [message, result, chosen, last]
    shown: dict[str, Any] = {**CHOOSE, "show_progress_on": result}
    for change in (photos.upload, photos.delete, photos.clear):
        change(predict, [study, photos], outputs, **shown)
    snapshot.input(predict, [study, snapshot], outputs, **shown)
    snapshot.clear(predict, [study, snapshot], outputs, **shown)
    study.change(predict_again, [study, last], outputs, **shown)
    result.click(look, [study, last], chosen, **{**CHOOSE, **EVERY}).then(
        None, js=TO_THE_PHOTO, api_visibility="private"
    )
