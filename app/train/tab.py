"""The Train tab: a form, and under it the training as it is, whoever looks and whenever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.catalogue.sources import Sources
from app.compare.tab import CompareTab
from app.config import AppConfig
from app.queue.actions import require
from app.queue.jobs import Jobs
from app.queue.runs_panel import RunsPanel, Visitor, wire_runs_panel
from app.studies.order import order_of
from app.train.again import form_with
from app.train.estimate import EstimateBox, estimate_box, wire_estimate_box
from app.train.form import (
    AS_IN_RECIPE,
    LOADED,
    FormValues,
    Handed,
    chosen_recipe,
    data_choices,
    read_form,
    recipe_choices,
    recipe_for,
    teachers,
)
from app.train.network_box import NetworkBox, network_box, wire_network_box
from app.train.pipeline_box import PipelineBox, pipeline_box, wire_pipeline_box
from app.train.recipe import RecipeBox, preview, recipe_box, wire_recipe_box
from app.train.teacher_box import teacher_box
from app.ui.notice import HIDDEN_NOTICE, notice, notice_box, section
from app.ui.wording import escape
from dait.config.arms import DEFAULT_ARMS, SUMMARIES
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.evidence.palette import arm_title
from dait.runs.folder import StudyFolder

# Private handlers can still be called directly: ids and values are checked inside.
PRESS: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}


@dataclass(frozen=True)
class _Form:
    recipe: gr.Dropdown
    data: gr.Dropdown
    arms: gr.CheckboxGroup
    seed_count: gr.Number
    first_seed: gr.Number
    epochs: gr.Number
    networks: NetworkBox
    start: gr.Button
    notice: gr.HTML
    expected: gr.HTML
    teacher: gr.Dropdown
    handed: gr.State
    handed_words: gr.HTML
    known: gr.HTML
    loaded: gr.State
    file: RecipeBox
    cost: EstimateBox
    pipeline: PipelineBox

    @property
    def values(self) -> list[Any]:
        """The inputs in the order of ``FormValues``."""
        return [
            *(self.recipe, self.data, self.arms, self.seed_count, self.first_seed),
            *(self.epochs, *self.networks.choices, self.teacher, self.handed, self.loaded),
        ]


@dataclass(frozen=True)
class TrainTab:
    """What the rest of the page needs of the tab."""

    config: AppConfig
    form: _Form

    @property
    def handed_outputs(self) -> list[Any]:
        """What ``take`` changes."""
        form = self.form
        return [
            *(form.recipe, form.expected, form.epochs, form.data, form.teacher),
            *(form.handed, form.handed_words, form.notice),
        ]

    def take(self, handed: Handed, current: object) -> list[Any]:
        """The form for what the Data tab hands over; ``current`` is the recipe chosen so far."""
        recipe = LOADED if current == LOADED else recipe_for(handed.data, current)
        choices = data_choices(self.config, handed.data)
        title = Sources(self.config).title(handed.data) or handed.data
        kept = recipe == current
        return [
            gr.skip() if kept else recipe,
            gr.skip() if kept else _expected(load_recipe(recipe)),
            gr.skip() if kept else _epochs(self.config, load_recipe(recipe)),
            gr.update(choices=choices, value=handed.data),
            handed.teacher,
            handed,
            notice(handed.words(title), calm=True),
            HIDDEN_NOTICE,
        ]

    @property
    def filled_outputs(self) -> list[Any]:
        """What ``filled`` changes."""
        form = self.form
        return [*form.values, form.expected, form.handed_words, form.notice]

    def filled(self, values: FormValues, said: str) -> list[Any]:
        """The form with these values, and a sentence about them."""
        recipe = chosen_recipe(self.config, values.recipe, values.loaded)
        changed = vars(values) | {
            "recipe": gr.update(choices=recipe_choices(values.loaded), value=values.recipe),
            "data": gr.update(choices=data_choices(self.config, values.data), value=values.data),
        }
        return [
            *changed.values(),
            _expected(recipe),
            notice(said.strip(), calm=True),
            HIDDEN_NOTICE,
        ]

    def again(self, study: StudyFolder) -> list[Any]:
        """The form that orders the study once more. Raises ``UserError`` where that is unknown."""
        values, differs = form_with(self.config, order_of(study), study.path.name)
        return self.filled(values, f"The form is filled in as this study was started. {differs}")


def build_train_tab(
    page: gr.Blocks, config: AppConfig, jobs: Jobs, tabs: gr.Tabs, compare: CompareTab
) -> TrainTab:
    """Lay the tab out inside the current ``gr.Tab`` and wire it to the page's load and a timer."""
    panel = RunsPanel(config, jobs)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            form = _layout_form(config)
        with gr.Column(scale=3, min_width=320):
            panel.lay_out_card()
    panel.lay_out_list()
    tab = TrainTab(config, form)
    _wire_form(tab, jobs, panel)
    wire_runs_panel(panel, page, tabs, compare)
    return tab


def _amounts(config: AppConfig, first: Recipe) -> tuple[gr.Number, gr.Number]:
    """How many epochs, how many seeds."""
    with gr.Row():
        epochs = gr.Number(
            _epochs(config, first),
            label="Epochs",
            precision=0,
            min_width=100,
            info="Passes over the images",
            elem_id="epochs",
        )
        seeds = gr.Number(
            1,
            label="Seeds",
            precision=0,
            min_width=100,
            info=f"Repetitions, 1 to {config.limits.seeds}",
        )
    return epochs, seeds


def _layout_form(config: AppConfig) -> _Form:
    recipes = recipe_choices()
    first = load_recipe(recipes[0][1])
    section(
        "Train",
        "Every student learns from the same images, for the same number of epochs; an arm with a "
        "teacher of its own trains that first.",
    )
    if config.limits.note:
        gr.HTML(notice(config.limits.note, calm=True), apply_default_css=False)
    recipe = gr.Dropdown(recipes, value=recipes[0][1], label="Recipe", elem_id="recipe")
    expected = gr.HTML(_expected(first), elem_id="expected", apply_default_css=False)
    data = gr.Dropdown(
        data_choices(config),
        value=AS_IN_RECIPE,
        label="Data",
        info="Upload photographs of your own in the Data tab.",
        elem_id="train-data",
    )
    handed_words = notice_box("handed")
    teacher = gr.Dropdown(
        teachers(config),
        value=AS_IN_RECIPE,
        label="Frozen teacher",
        allow_custom_value=config.paths,
        elem_id="train-teacher",
    )
    known = teacher_box()
    arms = gr.CheckboxGroup(
        [(f"{arm_title(arm)}: {text}", arm) for arm, text in SUMMARIES.items()],
        value=list(DEFAULT_ARMS),
        label="Arms",
        elem_id="arms",
    )
    epochs, seeds = _amounts(config, first)
    with gr.Accordion("Networks and first seed", open=False, elem_id="networks") as fold:
        networks = network_box(config, fold)
        first_seed = gr.Number(0, label="First seed", precision=0)
    pipeline = pipeline_box()
    start = gr.Button("Start training", variant="primary", elem_id="start")
    message = notice_box("train-notice")
    usual = FormValues(first.name, "", list(DEFAULT_ARMS), 1, 0, _epochs(config, first), "", "")
    cost = estimate_box()
    file = recipe_box(preview(config, usual))
    return _Form(
        *(recipe, data, arms, seeds, first_seed, epochs, networks, start, message, expected),
        *(teacher, gr.State(None), handed_words, known, gr.State(None), file, cost, pipeline),
    )


def _wire_form(tab: TrainTab, jobs: Jobs, panel: RunsPanel) -> None:
    config, form = tab.config, tab.form

    def start(visitor: Visitor, width: object, *values: Any) -> dict[Any, Any]:
        try:
            study = jobs.start(read_form(config, FormValues(*values)))
        except UserError as error:
            return {form.notice: notice(str(error).strip())}
        return {form.notice: HIDDEN_NOTICE} | panel.started(study, visitor, width)

    def again(shown: object) -> list[Any]:
        try:
            return tab.again(require(config, shown, "again"))
        except UserError as error:
            kept = [gr.skip() for _ in tab.filled_outputs[:-1]]
            return [*kept, notice(str(error))]

    outputs = [form.notice, *panel.outputs]
    form.start.click(
        start, [*panel.inputs, *form.values], outputs, show_progress_on=panel.card, **PRESS
    )
    panel.buttons["again"].click(again, panel.shown, tab.filled_outputs, **PRESS)
    wire_network_box(form.networks, config, form.recipe, form.data, form.handed)
    wire_recipe_box(form.file, config, form.values, tab.filled_outputs, tab.filled)
    wire_pipeline_box(form.pipeline, config, form.values)
    wire_estimate_box(form.cost, config, form.values, lambda: len(jobs.working()))
    # What the Data tab handed over holds for its own data.
    form.data.input(
        lambda: (None, HIDDEN_NOTICE),
        None,
        [form.handed, form.handed_words],
        api_visibility="private",
        show_progress="hidden",
    )
    # In the browser: an answer from here could come after the visitor has typed other epochs.
    recipes = {name: load_recipe(name) for _, name in recipe_choices()}
    known = {name: [_expected(own), _epochs(config, own)] for name, own in recipes.items()}
    form.recipe.input(
        None,
        [form.recipe, form.expected, form.epochs],
        [form.expected, form.epochs],
        js=f"(name, ...now) => ({json.dumps(known)})[name] ?? now",
        api_visibility="private",
        show_progress="hidden",
    )


def _expected(recipe: Recipe) -> str:
    parts = [
        recipe.expected,
        f"Images of {recipe.data.size} px; student {recipe.student.name}, intermediate teacher "
        f"{recipe.intermediate.name}, frozen teacher {recipe.teacher.name}.",
    ]
    text = " ".join(escape(part) for part in parts if part)
    return f'<p class="ds-hint">{text}</p>'


def _epochs(config: AppConfig, recipe: Recipe) -> int:
    return min(recipe.train.epochs, config.limits.epochs)
