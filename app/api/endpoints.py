"""The named endpoints: the page's functions for programs (``gradio_client``).

They return plain JSON. An invalid request is answered by one sentence without paths of this
machine. On a public Space the page's limits apply.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import gradio as gr

from app.api.responses import explained_json, method_of, study_json, target_of
from app.compare.views import CompareViews
from app.comparisons.cache import BATCH_SIZE
from app.config import AppConfig, hide_paths
from app.predict.views import PredictViews
from app.queue.actions import require
from app.queue.training_queue import TrainingQueue
from app.studies.entries import entry_of, finished_studies, open_study, own_studies
from app.train.form import FormValues, read_form
from dait.config.arms import DEFAULT_ARMS
from dait.errors import UserError

NAMES = ("predict", "explain", "compare", "start", "status", "stop")
"""The public endpoints."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


def _without_paths(handler: Handler) -> Handler:
    """Turn a handler's ``UserError`` into a ``gr.Error`` without paths of this machine."""

    @wraps(handler)
    def answering(*values: Any, **named: Any) -> Any:
        try:
            return handler(*values, **named)
        except UserError as error:
            raise gr.Error(hide_paths(str(error)), print_exception=False) from error

    return answering  # type: ignore[return-value]


def build_api(config: AppConfig, queue: TrainingQueue, compare: CompareViews) -> None:
    """Add the endpoints to the current ``gr.Blocks``; they are not visible on the page."""
    _photo_endpoints(PredictViews(compare.comparisons))
    _table_endpoint(compare)
    _queue_endpoints(config, queue)


def _photo_endpoints(views: PredictViews) -> None:
    @_without_paths
    def predict(study: str, photos: list[str]) -> dict[str, Any]:
        """Every network's predictions for photographs.

        study: the id of a finished study, from /status. photos: image files, at most 200.
        Returns ``images`` (``image``: the file's name; ``networks``: ``network``, ``role``,
        ``title``, ``latency_ms``, ``unlike`` (whether the photograph is unlike anything that it was
        trained on; null if not known) and ``top``, the five most probable classes with ``index``,
        ``key``, ``name`` and ``probability``), ``problems`` (a sentence for each file that cannot
        be read) and ``left_out`` (a sentence for each network that cannot be loaded). Waiting
        photographs are predicted in batches; ``latency_ms`` is a photograph's share.
        """
        found = views.many(study, photos)
        return {"images": found.images, "problems": found.problems, "left_out": found.left_out}

    @_without_paths
    def explain(study: str, photo: str, method: str, target: str) -> dict[str, Any]:
        """Every network's heatmap for one photograph.

        study: the id of a finished study, from /status. photo: an image file. method:
        ``auto``, ``gradcam``, ``gradcam++``, ``hirescam``, ``layercam``, ``eigencam`` or
        ``finercam``. target: the key or name of the class to explain; empty: each network's own
        prediction. Returns ``image`` (the file's name) and ``networks``: the same as
        /predict, and ``target`` (the class explained), ``heatmap`` (rows of a raw map, never
        negative, not scaled; null where there is none), ``note`` (why there is none) and
        ``picture`` (the photograph under the heatmap, a PNG as a ``data:`` address).
        """
        comparison = views.comparisons.get(study).comparison
        return explained_json(
            views.one(study, photo, method_of(method), target_of(comparison, target))
        )

    # Real components, because they accept only uploaded files; none is ever visible.
    with gr.Column(visible=False):
        study = gr.Textbox(label="study")
        photos = gr.File(label="photos", file_count="multiple")
        photo = gr.File(label="photo")
        method, target = gr.Textbox("auto", label="method"), gr.Textbox("", label="target")
        answer = gr.JSON(label="answer")
        # Waiting requests for predictions are answered in batches.
        for handler, inputs, limit in (
            (predict, [study, photos], BATCH_SIZE),
            (explain, [study, photo, method, target], 2),
        ):
            gr.Button(handler.__name__).click(
                handler,
                inputs,
                answer,
                api_name=handler.__name__,
                api_visibility="public",
                concurrency_limit=limit,
            )


def _table_endpoint(views: CompareViews) -> None:
    @_without_paths
    def compare(study: str, seed: int | None = None) -> list[dict[str, Any]]:
        """The table of a finished study: a row per network.

        study: an id from /status. seed: one of the study's; by default the first. A row has
        ``role``, ``title``, ``seeds``, ``top1``, ``top5`` and ``mean_per_class`` (means over the
        seeds, shares of the test images), ``sd``, ``interval`` (95 %, of one seed), ``gain``
        (top-1 less that of direct distillation), ``mcnemar_p`` (of this seed), ``mcnemar_ps`` (by
        seed), ``parameters``, ``macs``, ``latency_ms``, ``file_bytes`` and ``map``.
        """
        if seed is not None and not isinstance(seed, int):
            raise UserError("seed: give a whole number, or leave it out.")
        return views.comparisons.get(study, seed).comparison.table()

    gr.api(compare, api_name="compare", api_visibility="public", concurrency_limit=2)


def _queue_endpoints(config: AppConfig, queue: TrainingQueue) -> None:
    @_without_paths
    def start(
        recipe: str = "demo",
        data: str = "",
        arms: list[str] = list(DEFAULT_ARMS),  # noqa: B006 - the documented default
        seeds: int = 1,
        first_seed: int = 0,
        epochs: int = 20,
        student: str = "",
        intermediate: str = "",
        teacher: str = "",
    ) -> dict[str, Any]:
        """Put a training into the queue. Returns its entry as /status does.

        recipe: the name of a bundled recipe. data, student, intermediate, teacher: as the Train
        tab names them; empty: as in the recipe. arms: ``independent``, ``direct``, ``vl2lite``,
        ``kd``, ``takd``, ``dait``. seeds: how many, beginning with first_seed.
        """
        values = FormValues(
            recipe, data, arms, seeds, first_seed, epochs, student, intermediate, teacher
        )
        return status(queue.start(read_form(config, values)))[0]

    @_without_paths
    def status(study: str = "") -> list[dict[str, Any]]:
        """All studies, or one: those trained here, then the bundled ones.

        study: an id; empty for all. Returns ``study`` (its id), ``title``, ``state`` (``queued``,
        ``preparing``, ``training``, ``evaluating``, ``finished``, ``failed``, ``paused``,
        ``stopped``, ``lost`` or ``damaged``), ``progress`` (0 to 1), ``eta_seconds``, ``message``,
        ``place`` (in the queue, from 1), ``arms``, ``seeds``, ``top1`` (by arm, of the seeds that
        have finished) and ``shipped``.
        """
        entries = own_studies(config)
        entries += [entry for entry in finished_studies(config) if entry.shipped]
        if study:
            path = open_study(config, study).path
            entries = [entry for entry in entries if entry.id == path.name][:1]
            entries = entries or [entry_of(open_study(config, study), shipped=False)]
        return [study_json(config, entry) for entry in entries]

    @_without_paths
    def stop(study: str) -> dict[str, Any]:
        """Take a study out of the queue, or end its training. Returns its entry as /status does.

        study: an id from /start or /status. Returns when its processes have ended; its files are
        kept, and it can be resumed in the Train tab.
        """
        queue.cancel(require(config, study, "cancel").path.name)
        return status(study)[0]

    # A request for a state does not wait for others.
    for handler, limit in ((start, 2), (status, None), (stop, 4)):
        gr.api(
            handler,
            api_name=handler.__name__,
            api_visibility="public",
            concurrency_limit=limit,
        )
