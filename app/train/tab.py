"""The Train tab: a form for a study, and the panel of all trainings."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from app.catalogue.sources import Sources
from app.config import AppConfig
from app.export.box import build_export_box
from app.export.bundles import Bundles
from app.export.push_box import Pushes
from app.queue.actions import require
from app.queue.runs_panel import PageState, RunsPanel, wire_runs_panel
from app.queue.training_queue import TrainingQueue
from app.server.loader import engine
from app.studies.order import order_of
from app.train.advice import AdviceBox
from app.train.again import form_or_recipe_for
from app.train.estimate import EstimateBox, estimate_box, wire_estimate_box
from app.train.evaluate_box import Evaluations, build_evaluate_box
from app.train.form import (
    AS_IN_RECIPE,
    LOADED,
    DataSelection,
    FormValues,
    chosen_recipe,
    data_choices,
    read_form,
    recipe_choices,
    recipe_for,
    teachers,
)
from app.train.kept_form import keep_form
from app.train.network_box import NetworkBox, network_box, wire_network_box
from app.train.pipeline_box import PipelineBox, pipeline_box, wire_pipeline_box
from app.train.recipe import RecipeBox, preview, recipe_box, wire_recipe_box
from app.train.sweep_box import SweepBox, sweep_order
from app.train.teacher_box import TeacherBox
from app.ui.events import LAST, PRIVATE, QUIET, UNLIMITED
from app.ui.notice import (
    HIDDEN_NOTICE,
    Update,
    notice,
    notice_box,
    section,
    shows_errors,
)
from app.ui.templates import render
from app.ui.wording import listed
from dait.config.arms import DEFAULT_ARMS, SUMMARIES, arm_title
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError

# Private handlers can still be called directly: ids and values are checked inside.
PRESS: dict[str, Any] = {**PRIVATE, "concurrency_limit": 2}


@dataclass(frozen=True)
class TrainForm:
    """The components of the form."""

    recipe: gr.Dropdown
    expected: gr.HTML
    data: gr.Dropdown
    selection: gr.State
    selection_text: gr.HTML
    teacher: gr.Dropdown
    teacher_box: TeacherBox
    arms: gr.CheckboxGroup
    epochs: gr.Number
    seed_count: gr.Number
    networks: NetworkBox
    first_seed: gr.Number
    device: gr.Dropdown
    pipeline: PipelineBox
    start: gr.Button
    notice: gr.HTML
    cost: EstimateBox
    loaded: gr.State
    file: RecipeBox
    sweep: SweepBox

    @property
    def fields(self) -> dict[str, Any]:
        """The component of each field of ``FormValues``, in its order."""
        return {
            "recipe": self.recipe,
            "data": self.data,
            "arms": self.arms,
            "seed_count": self.seed_count,
            "first_seed": self.first_seed,
            "epochs": self.epochs,
            "student": self.networks.student,
            "intermediate": self.networks.intermediate,
            "teacher": self.teacher,
            "selection": self.selection,
            "loaded": self.loaded,
        }

    @property
    def values(self) -> list[Any]:
        """The inputs of a handler that makes ``FormValues`` of them."""
        return list(self.fields.values())

    @property
    def outputs(self) -> list[Any]:
        """What ``fill`` and ``TrainTab.use_data`` change."""
        return [*self.values, self.expected, self.selection_text, self.notice]


@dataclass(frozen=True)
class TrainTab:
    """The form, the panel of trainings, and how other tabs fill the form."""

    config: AppConfig
    form: TrainForm
    panel: RunsPanel

    def use_data(self, selection: DataSelection, current: object) -> Update:
        """Train with the Data tab's selection. current: the form's recipe."""
        form = self.form
        recipe = LOADED if current == LOADED else recipe_for(selection.data, current)
        choices = data_choices(self.config, selection.data)
        title = Sources(self.config).title(selection.data) or selection.data
        changes: Update = {
            form.data: gr.update(choices=choices, value=selection.data),
            form.teacher: selection.teacher,
            form.selection: selection,
            form.selection_text: notice(selection.describe(title), calm=True),
            form.notice: HIDDEN_NOTICE,
        }
        if recipe != current:
            chosen = load_recipe(recipe)
            changes |= {
                form.recipe: recipe,
                form.expected: _expected(self.config, chosen),
                form.epochs: _epochs(self.config, chosen),
            }
        return changes

    def fill(self, values: FormValues, sentence: str) -> Update:
        """Fill the form with these values, and say ``sentence`` about them."""
        form = self.form
        changes: Update = {form.fields[name]: value for name, value in vars(values).items()}
        changes |= {
            form.recipe: gr.update(choices=recipe_choices(values.loaded), value=values.recipe),
            form.data: gr.update(choices=data_choices(self.config, values.data), value=values.data),
            form.expected: _expected(
                self.config, chosen_recipe(self.config, values.recipe, values.loaded)
            ),
            form.selection_text: notice(sentence, calm=True) if sentence else HIDDEN_NOTICE,
            form.notice: HIDDEN_NOTICE,
        }
        return changes


def build_train_tab(
    page: gr.Blocks,
    kept: gr.BrowserState,
    config: AppConfig,
    queue: TrainingQueue,
    bundles: Bundles,
) -> TrainTab:
    """Lay the tab out inside the current ``gr.Tab``, and wire it to the page's load and a timer.

    kept: of ``form_storage``.
    """
    panel = RunsPanel(config, queue)
    advice = AdviceBox()
    form = _layout_form(config, panel, bundles)
    panel.lay_out_list()
    tab = TrainTab(config, form, panel)
    keep_form(page, kept, config, form.fields, form.expected, partial(_expected, config))
    _wire_form(tab, queue)
    advice.wire(config, form.fields)
    form.teacher_box.wire(config, form.fields)
    wire_runs_panel(panel, page)
    return tab


def _amounts(config: AppConfig, first: Recipe) -> tuple[gr.Number, gr.Number]:
    """The numbers of epochs and of seeds."""
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


def _layout_form(config: AppConfig, panel: RunsPanel, bundles: Bundles) -> TrainForm:
    """What is trained on the left; how much of it, the start and the training on the right.

    On a phone the left comes first: what nobody must choose stands below the start, in folds.
    """
    recipes = recipe_choices()
    first = load_recipe(recipes[0][1])
    section(
        "Train",
        "Every student learns from the same images, for the same number of epochs. An arm with "
        "its own teacher trains that first.",
    )
    if config.limits.note:
        gr.HTML(notice(config.limits.note, calm=True), apply_default_css=False)
        if config.space:
            gr.Button(
                "Duplicate this Space",
                link=f"https://huggingface.co/spaces/{config.space}?duplicate=true",
                link_target="_blank",
                size="sm",
                elem_id="duplicate",
            )
    defaults = FormValues(
        recipe=first.name,
        data=AS_IN_RECIPE,
        arms=list(DEFAULT_ARMS),
        seed_count=1,
        first_seed=0,
        epochs=_epochs(config, first),
        student=AS_IN_RECIPE,
        intermediate=AS_IN_RECIPE,
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=320, elem_id="choices"):
            recipe = gr.Dropdown(recipes, value=recipes[0][1], label="Recipe", elem_id="recipe")
            data = gr.Dropdown(
                data_choices(config),
                value=AS_IN_RECIPE,
                label="Data",
                info="Upload your own photographs in the Data tab.",
                elem_id="train-data",
            )
            selection_text = notice_box("handed")
            arms = gr.CheckboxGroup(
                [(f"{arm_title(arm)}: {text}", arm) for arm, text in SUMMARIES.items()],
                value=list(DEFAULT_ARMS),
                label="Arms",
                elem_id="arms",
            )
            with gr.Column(elem_id="as-file"):
                file = recipe_box(preview(config, defaults))
        with gr.Column(scale=1, min_width=320, elem_id="doing"):
            epochs, seed_count = _amounts(config, first)
            start = gr.Button("Start training", variant="primary", elem_id="start")
            message = notice_box("train-notice")
            expected = gr.HTML(
                _expected(config, first), elem_id="expected", apply_default_css=False
            )
            cost = estimate_box()
            with gr.Accordion("Frozen teacher", open=False, elem_id="teacher-fold"):
                teacher = gr.Dropdown(
                    teachers(config),
                    value=AS_IN_RECIPE,
                    label="Frozen teacher",
                    allow_custom_value=config.paths,
                    elem_id="train-teacher",
                )
                teacher_box = TeacherBox()
            with gr.Accordion("Networks and first seed", open=False, elem_id="networks") as fold:
                networks = network_box(config, fold)
                first_seed = gr.Number(0, label="First seed", precision=0)
                device = gr.Dropdown([], label="Compute on", visible=False, elem_id="device")
            pipeline = pipeline_box()
            sweep = SweepBox()
            panel.lay_out_card()
            build_export_box(
                bundles,
                panel.shown,
                "train-export",
                Pushes(config, bundles) if config.paths else None,
            )
            build_evaluate_box(Evaluations(config, bundles), bundles, panel.shown, "train-evaluate")
    return TrainForm(
        recipe=recipe,
        expected=expected,
        data=data,
        selection=gr.State(None),
        selection_text=selection_text,
        teacher=teacher,
        teacher_box=teacher_box,
        arms=arms,
        epochs=epochs,
        seed_count=seed_count,
        networks=networks,
        first_seed=first_seed,
        device=device,
        pipeline=pipeline,
        start=start,
        notice=message,
        cost=cost,
        loaded=gr.State(None),
        file=file,
        sweep=sweep,
    )


def _wire_form(tab: TrainTab, queue: TrainingQueue) -> None:
    config, form, panel = tab.config, tab.form, tab.panel

    @shows_errors(form.notice)
    def start(state: PageState, width: object, device: object, *values: Any) -> Update:
        order = replace(read_form(config, FormValues(*values)), device=_device(device))
        study = queue.start(order)
        said = notice(panel.start_sentence(study), calm=True)
        return panel.started(study, state, width) | {form.notice: said}

    @shows_errors(form.sweep.message)
    def start_sweep(state: PageState, width: object, device: object, *given: Any) -> Update:
        study = queue.start(replace(sweep_order(config, *given), device=_device(device)))
        said = notice(panel.start_sentence(study), calm=True)
        return panel.started(study, state, width) | {form.sweep.message: said}

    @shows_errors(form.notice)
    def start_again_from(shown: object) -> Update:
        study = require(config, shown, "again")
        values, differences = form_or_recipe_for(config, order_of(study), study.path.name)
        sentence = f"The form is filled in as this study was started. {differences}"
        return tab.fill(values, sentence.strip())

    form.start.click(
        start,
        [*panel.inputs, form.device, *form.values],
        [form.notice, *panel.outputs],
        show_progress_on=panel.card,
        **PRESS,
    )
    form.sweep.start.click(
        start_sweep,
        [*panel.inputs, form.device, *form.sweep.inputs(form.values)],
        [form.sweep.message, *panel.outputs],
        show_progress_on=panel.card,
        **PRESS,
    )
    form.sweep.wire(config, form.values)
    panel.buttons["again"].click(start_again_from, panel.shown, form.outputs, **PRESS)
    wire_network_box(form.networks, config, form.recipe, form.data, form.selection)
    wire_recipe_box(form.file, config, form.values, form.outputs, tab.fill)
    wire_pipeline_box(form.pipeline, config, form.values)
    wire_estimate_box(form.cost, config, form.values, lambda: len(queue.working()))
    # The Data tab's selection is only for its own data.
    form.data.input(
        lambda: (None, HIDDEN_NOTICE),
        None,
        [form.selection, form.selection_text],
        **QUIET,
        **LAST,
    )
    # In the browser: the server's answer could arrive after the visitor has typed other epochs.
    recipes = {name: load_recipe(name) for _, name in recipe_choices()}
    known = {name: [_expected(config, own), _epochs(config, own)] for name, own in recipes.items()}
    form.recipe.input(
        None,
        [form.recipe, form.expected, form.epochs],
        [form.expected, form.epochs],
        js=f"(name, ...now) => ({json.dumps(known)})[name] ?? now",
        **QUIET,
    )


def wire_device(form: TrainForm, panel: gr.Tab) -> None:
    """Offer the devices when the tab opens, where there is more than one."""

    def offer(current: object) -> Any:
        found = engine().devices()
        value = current if current in found else found[0]
        return gr.update(choices=found, value=value, visible=len(found) > 1)

    panel.select(
        offer,
        form.device,
        form.device,
        **UNLIMITED,
    )


def _device(value: object) -> str:
    """The chosen device; empty for the default. Raises ``UserError`` for one that is not here."""
    found = engine().devices()
    if not value or value == found[0]:
        return ""
    if value not in found:
        raise UserError(f"Compute on {listed(found)}: there is no other device here.")
    return str(value)


def _expected(config: AppConfig, recipe: Recipe) -> str:
    """What a recipe says of its cost and accuracy, where all its epochs may be trained."""
    limit = config.limits.epochs
    return render(
        "recipe_expected",
        recipe=recipe,
        most_epochs=limit if limit < recipe.train.epochs else None,
    )


def _epochs(config: AppConfig, recipe: Recipe) -> int:
    return min(recipe.train.epochs, config.limits.epochs)
