"""The page: a header, seven tabs, the links between them, and the endpoints for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta, traverse
from starlette.routing import Route

from app.about_tab import build_about_tab
from app.api.endpoints import build_api
from app.catalogue.teachers import read_teacher
from app.compare.selection import Selection
from app.compare.tab import CompareTab, build_compare_tab
from app.compare.views import CompareViews
from app.comparisons.report_sections import ReportSections
from app.comparisons.study_choice import layout_study_choice
from app.comparisons.study_list import study_list
from app.config import AppConfig
from app.data.prompt_box import prompts_of
from app.data.reading import SIZES
from app.data.tab import DataTab, build_data_tab
from app.explore.tab import ExploreTab, build_explore_tab
from app.export.bundles import Bundles
from app.paper.tab import build_paper_tab
from app.paper.views import PaperViews
from app.policy import Policy
from app.predict.tab import build_predict_tab
from app.queue.actions import require
from app.queue.runs_panel import wire_poll
from app.queue.training_queue import TrainingQueue
from app.server.failures import guard
from app.server.loader import first_view_is_out, light
from app.train.form import DataSelection, data_choices, require_fit
from app.train.kept_form import form_storage
from app.train.tab import TrainTab, build_train_tab, wire_device
from app.ui.events import QUIET, UNLIMITED
from app.ui.notice import Update, is_notice, shows_errors
from app.ui.templates import render
from dait.errors import UserError
from dait.teachers.prompts import Prompts, reads_prompts

TITLE = "DAIT Studio"
COMPARE = "compare"
"""The id of the tab that is open at first."""
TO_THE_ROW = """
() => setTimeout(() => document.querySelector('#row')?.scrollIntoView({ block: 'center' }), 100)
"""
CACHE_SECONDS = 3600
"""Uploads older than this are deleted; the check runs as often."""
NEVER = 100 * 365 * 24 * 3600
"""Gradio's own check stops for good at the first error, such as an upload at the same time."""


class Page(gr.Blocks):
    """The page of one app. Its handlers receive no files but uploaded ones.

    routes: what the server answers besides.
    """

    def __init__(self, config: AppConfig, routes: Sequence[Route]) -> None:
        self.routes = list(routes)
        self._policy = Policy(config)
        super().__init__(title=TITLE, analytics_enabled=False, delete_cache=(NEVER, CACHE_SECONDS))

    def get_config_file(self) -> Any:
        """As Gradio does it, without a connection for every open tab: a browser has six.

        It would tell when a tab is closed; ``app.server.sessions`` keeps the most active ones.
        """
        return {**super().get_config_file(), "connect_heartbeat": False}

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any) -> Any:
        """As Gradio does it, which would fetch any web address that a request names as a file."""
        try:
            traverse(inputs, self._policy.require_uploaded, is_file_obj_with_meta)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return await super().preprocess_data(block_fn, inputs, *rest)


def build_page(config: AppConfig, queue: TrainingQueue) -> Page:
    """The whole page. Building it trains nothing, draws nothing and loads no network."""
    views, bundles = CompareViews(config), Bundles(config)
    sections = ReportSections(config, views.comparisons)
    with Page(config, [bundles.pages.route]) as page:
        build_api(config, queue, views)  # first: names are assigned in this order
        with gr.Row(elem_id="head"):
            gr.HTML(render("header"), apply_default_css=False)
            choice = layout_study_choice()
        kept = form_storage()
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Compare", id=COMPARE) as compare_panel:
                compare = build_compare_tab(views, bundles, choice, sections)
            with gr.Tab("Paper", id="paper") as paper_panel:
                build_paper_tab(paper_panel, choice, PaperViews(sections))
            with gr.Tab("Predict", id="predict") as predict_panel:
                build_predict_tab(choice.study, views.comparisons)
            with gr.Tab("Explore", id="explore") as explore_panel:
                explore = build_explore_tab(explore_panel, choice, config, views.comparisons)
            with gr.Tab("Data", id="data") as data_panel:
                data = build_data_tab(data_panel, config, queue)
            with gr.Tab("Train", id="train") as train_panel:
                train = build_train_tab(page, kept, config, queue, bundles)
            with gr.Tab("About", id="about") as about_panel:
                build_about_tab()
        of_studies = [compare_panel, paper_panel, predict_panel, explore_panel]
        wire_poll(train.panel, train_panel, [*of_studies, data_panel, about_panel])
        _wire_list_of_studies(page, of_studies, compare)
        _wire_address(page, tabs, [*of_studies, data_panel, train_panel, about_panel])
        _wire_show_match(tabs, explore, compare)
        _wire_see_in_compare(config, tabs, train, compare)
        _wire_use_in_training(config, tabs, data, train)
        wire_device(train.form, train_panel)
        train.form.teacher_box.wire_facts(config, train.form.fields, train_panel)
        train_panel.select(
            lambda chosen: gr.update(choices=data_choices(config, chosen)),
            train.form.data,
            train.form.data,
            **QUIET,
        )
        _show_progress_where_it_is_seen(page)
    guard(page)
    return page


def _show_progress_where_it_is_seen(page: gr.Blocks) -> None:
    """Name the components that are dimmed while a handler runs: of all its outputs, the figures.

    At every message of every handler, Gradio's page looks up and copies each component that has
    ever been an output of one that shows progress, which took a third of the time of opening it.
    """
    for handler in page.fns.values():
        if handler.show_progress == "hidden":
            handler.show_progress_on = []
        elif handler.show_progress_on is None:
            shown = [output for output in handler.outputs if isinstance(output, gr.HTML)]
            handler.show_progress_on = [one for one in shown if not is_notice(one)]


def _wire_list_of_studies(page: gr.Blocks, panels: Sequence[gr.Tab], compare: CompareTab) -> None:
    """Fill the list when the page is opened, and refresh it with the tabs that show a study."""
    page.load(compare.list_for_link, compare.requested, compare.study, **QUIET)
    for panel in panels:
        panel.select(
            compare.refresh_list, [compare.study, compare.requested], compare.study, **QUIET
        )


def _wire_address(page: gr.Blocks, tabs: gr.Tabs, panels: Sequence[gr.Tab]) -> None:
    """The address opens the tab that stands in it, where ``linked.js`` writes it."""
    names = [str(panel.id) for panel in panels]

    @light
    def requested_tab(request: gr.Request) -> Any:
        name = request.query_params.get("tab")
        if name not in names:
            return gr.skip()
        if name != COMPARE:  # whose first view would not be looked at
            first_view_is_out()
        return gr.update(selected=name)

    page.load(requested_tab, None, tabs, **QUIET)


def _wire_show_match(tabs: gr.Tabs, explore: ExploreTab, compare: CompareTab) -> None:
    """A pressed match of the Explore tab is shown in the Compare tab."""

    @shows_errors(explore.message)
    def show(
        study: str | None,
        current: str | None,
        selection: Selection,
        reloads: int,
        event: gr.EventData,
    ) -> Update:
        index = getattr(event, "index", None)
        changes = compare.show(study, index, current, selection, reloads)
        return {tabs: gr.update(selected=COMPARE)} | changes

    explore.matches.click(
        show,
        [explore.study, *compare.show_inputs],
        [explore.message, tabs, *compare.show_outputs],
        api_visibility="private",
        concurrency_limit=4,
        trigger_mode="multiple",
    ).success(None, js=TO_THE_ROW, api_visibility="private")


def _wire_see_in_compare(
    config: AppConfig, tabs: gr.Tabs, train: TrainTab, compare: CompareTab
) -> None:
    """The button that shows a finished training in the Compare tab."""
    panel = train.panel

    @shows_errors(panel.notice)
    def see(shown: object) -> Update:
        study = require(config, shown, "compare")
        return {
            tabs: gr.update(selected=COMPARE),
            compare.study: study_list(config, study.path.name),
        }

    panel.buttons["compare"].click(
        see,
        panel.shown,
        [tabs, compare.study, panel.notice],
        **UNLIMITED,
    )


def _wire_use_in_training(config: AppConfig, tabs: gr.Tabs, data: DataTab, train: TrainTab) -> None:
    """The button that takes a data set and its prompts to the form of the Train tab."""
    choice, form = data.choice, train.form

    @shows_errors(choice.notice)
    def use(current: object, value: str, size: int, teacher: object, *texts: object) -> Update:
        name = read_teacher(config, teacher)
        require_fit(value, name)
        data.readings.opened(value, size)
        prompts = Prompts()
        if reads_prompts(name):
            prompts = prompts_of(data.readings, value, size, *texts)
        selection = DataSelection(value, size if size in SIZES else None, name, prompts)
        return {tabs: gr.update(selected="train")} | train.use_data(selection, current)

    choice.use.click(
        use,
        [form.recipe, choice.source, choice.size, *data.prompts.values],
        [choice.notice, tabs, *form.outputs],
        api_visibility="private",
        concurrency_limit=4,
    )
