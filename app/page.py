"""The page: a header, six tabs, and the endpoints for programs."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta, traverse

from app.about_tab import build_about_tab
from app.api.endpoints import build_api
from app.compare.tab import build_compare_tab
from app.compare.views import CompareViews
from app.config import AppConfig
from app.data.prompt_box import prompts_of
from app.data.prompts import read_teacher
from app.data.reading import SIZES
from app.data.tab import DataTab, build_data_tab
from app.explore.tab import build_explore_tab
from app.policy import Policy
from app.predict.tab import build_predict_tab
from app.queue.jobs import Jobs
from app.server.failures import guard
from app.server.open_stream import hold_streams
from app.train.form import Handed, data_choices, require_fit
from app.train.tab import TrainTab, build_train_tab
from app.train.teacher_box import wire_teacher_box
from app.ui.notice import notice
from dait.errors import UserError
from dait.teachers.prompts import Prompts, reads_prompts

TITLE = "DAIT Studio"
HEAD = (
    '<header class="ds-head"><h1>DAIT Studio</h1>'
    "<p>Distil a vision-language model into a small classifier, and see where each network "
    "looks.</p></header>"
)
CACHE_SECONDS = 3600
"""Uploads older than this are deleted, looked for as often."""
NEVER = 100 * 365 * 24 * 3600
"""Gradio's own look for them ends for good at the first error, which an upload meanwhile is."""


class Page(gr.Blocks):
    """The page of one app. Its handlers get no file but an uploaded one."""

    def __init__(self, config: AppConfig) -> None:
        self._policy = Policy(config)
        super().__init__(title=TITLE, analytics_enabled=False, delete_cache=(NEVER, CACHE_SECONDS))

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any) -> Any:
        """As Gradio does it, which would fetch any web address that a request names as a file."""
        try:
            traverse(inputs, self._policy.require_uploaded, is_file_obj_with_meta)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return await super().preprocess_data(block_fn, inputs, *rest)


def build_page(config: AppConfig, jobs: Jobs) -> gr.Blocks:
    """The whole page; it trains nothing, draws nothing and loads no network."""
    views = CompareViews(config)
    with Page(config) as page:
        build_api(config, jobs, views)  # first: the names are given out in turn
        gr.HTML(HEAD, apply_default_css=False)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Compare", id="compare") as compare_panel:
                compare = build_compare_tab(views)
            with gr.Tab("Predict", id="predict") as predict_panel:
                build_predict_tab(predict_panel, compare)
            with gr.Tab("Explore", id="explore") as explore_panel:
                build_explore_tab(explore_panel, tabs, compare)
            with gr.Tab("Data", id="data") as data_panel:
                data = build_data_tab(data_panel, config, jobs)
            with gr.Tab("Train", id="train") as train_panel:
                train = build_train_tab(page, config, jobs, tabs, compare)
            with gr.Tab("About", id="about"):
                build_about_tab()
        _wire_use_in_training(config, tabs, data, train)
        form = train.form
        wire_teacher_box(form.known, config, train_panel, form.recipe, form.data, form.teacher)
        train_panel.select(
            lambda chosen: gr.update(choices=data_choices(config, chosen)),
            train.form.data,
            train.form.data,
            api_visibility="private",
            show_progress="hidden",
        )
        hold_streams(page)
        page.load(
            compare.opened,
            compare.arrival,
            compare.study,
            api_visibility="private",
            show_progress="hidden",
        )
        compare_panel.select(
            compare.kept,
            [compare.study, compare.arrival],
            compare.study,
            api_visibility="private",
            show_progress="hidden",
        )
    guard(page)
    return page


def _wire_use_in_training(config: AppConfig, tabs: gr.Tabs, data: DataTab, train: TrainTab) -> None:
    """The button that takes a data set and its prompts to the form of the Train tab."""
    choice, form = data.choice, train.form

    def use(current: object, value: str, size: int, teacher: object, *texts: object) -> list[Any]:
        try:
            name = read_teacher(config, teacher)
            require_fit(value, name)
            data.readings.opened(value, size)
            prompts = Prompts()
            if reads_prompts(name):
                prompts = prompts_of(data.readings, value, size, *texts)
        except UserError as error:
            return [notice(str(error)), gr.skip(), *[gr.skip() for _ in train.handed_outputs]]
        handed = Handed(value, size if size in SIZES else None, name, prompts)
        return ["", gr.update(selected="train"), *train.take(handed, current)]

    choice.use.click(
        use,
        [form.recipe, choice.source, choice.size, *data.prompts.values],
        [choice.notice, tabs, *train.handed_outputs],
        api_visibility="private",
        concurrency_limit=4,
    )
