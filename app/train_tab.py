"""The Train tab: a form, and under it the training as it is, whoever looks and whenever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare_tab import CompareTab
from app.data_sources import Sources
from app.jobs import Jobs
from app.network_box import NetworkBox, network_box, wire_network_box
from app.notice import HIDDEN_NOTICE, framed, notice, notice_box, section
from app.place import Place
from app.plot import WIDE, panel_columns, plot_box
from app.studies import own_studies
from app.tables import studies_table
from app.teacher_box import teacher_box
from app.train_form import (
    AS_IN_RECIPE,
    FormValues,
    Handed,
    data_choices,
    read_form,
    recipe_choices,
    recipe_for,
    teachers,
)
from app.watch import NOTHING_YET, card, curves, fingerprint, is_running, log_html
from app.wording import escape
from dait.config.arms import DEFAULT_ARMS, SUMMARIES
from dait.errors import UserError
from dait.evidence.palette import arm_title
from dait.recipe import load_recipe
from dait.runs import StudyFolder

POLL_SECONDS = 2.0

# Private handlers can still be called directly: ids and values are checked inside.
POLL: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}
PRESS: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}
WIDTH = "() => window.innerWidth"
NO_STUDIES = '<div class="ds-empty">Studies that you train appear here.</div>'


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

    @property
    def values(self) -> list[Any]:
        """The inputs in the order of ``FormValues``."""
        return [
            *(self.recipe, self.data, self.arms, self.seed_count, self.first_seed),
            *(self.epochs, *self.networks.choices, self.teacher, self.handed),
        ]


@dataclass(frozen=True)
class TrainTab:
    """What the rest of the page needs of the tab."""

    place: Place
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
        recipe = recipe_for(handed.data, current)
        choices = data_choices(self.place, handed.data)
        title = Sources(self.place).title(handed.data) or handed.data
        kept = recipe == current
        return [
            gr.skip() if kept else recipe,
            gr.skip() if kept else _expected(recipe),
            gr.skip() if kept else _epochs(self.place, recipe),
            gr.update(choices=choices, value=handed.data),
            handed.teacher,
            handed,
            notice(handed.words(title), calm=True),
            HIDDEN_NOTICE,
        ]


@dataclass(frozen=True)
class _Live:
    card: gr.HTML
    stop: gr.Button
    see: gr.Button
    curves: gr.HTML
    log: gr.HTML
    studies: gr.HTML
    seen: gr.State
    width: gr.Number

    @property
    def outputs(self) -> list[Any]:
        return [self.card, self.stop, self.see, self.curves, self.log, self.studies, self.seen]


def build_train_tab(
    page: gr.Blocks, place: Place, jobs: Jobs, tabs: gr.Tabs, compare: CompareTab
) -> TrainTab:
    """Lay the tab out inside the current ``gr.Tab`` and wire it to the page's load and a timer."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            form = _layout_form(place)
        with gr.Column(scale=3, min_width=320):
            state, stop, see, lines, log = _layout_live()
    section("Earlier studies", "Finished ones can be chosen in the Compare tab.")
    width = gr.Number(WIDE, visible=False)
    studies = framed(NO_STUDIES, "studies")
    live = _Live(state, stop, see, lines, log, studies, gr.State(""), width)
    _wire_form(place, jobs, form, live)
    _wire_live(page, place, jobs, live, tabs, compare)
    return TrainTab(place, form)


def _layout_form(place: Place) -> _Form:
    recipes = recipe_choices()
    section(
        "Train",
        "Every student learns from the same images, for the same number of epochs; an arm with a "
        "teacher of its own trains that first.",
    )
    if place.limits.note:
        gr.HTML(notice(place.limits.note, calm=True), apply_default_css=False)
    recipe = gr.Dropdown(recipes, value=recipes[0][1], label="Recipe", elem_id="recipe")
    expected = gr.HTML(_expected(recipes[0][1]), elem_id="expected", apply_default_css=False)
    data = gr.Dropdown(
        data_choices(place),
        value=AS_IN_RECIPE,
        label="Data",
        info="Upload photographs of your own in the Data tab.",
        elem_id="train-data",
    )
    handed_words = notice_box("handed")
    teacher = gr.Dropdown(
        teachers(place),
        value=AS_IN_RECIPE,
        label="Frozen teacher",
        allow_custom_value=place.paths,
        elem_id="train-teacher",
    )
    known = teacher_box()
    arms = gr.CheckboxGroup(
        [(f"{arm_title(arm)}: {text}", arm) for arm, text in SUMMARIES.items()],
        value=list(DEFAULT_ARMS),
        label="Arms",
        elem_id="arms",
    )
    limits = place.limits
    with gr.Row():
        epochs = gr.Number(
            _epochs(place, recipes[0][1]),
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
            info=f"Repetitions, 1 to {limits.seeds}",
        )
    with gr.Accordion("Networks and first seed", open=False, elem_id="networks") as fold:
        networks = network_box(place, fold)
        first_seed = gr.Number(0, label="First seed", precision=0)
    start = gr.Button("Start training", variant="primary", elem_id="start")
    told = notice_box("train-notice")
    return _Form(
        *(recipe, data, arms, seeds, first_seed, epochs, networks, start, told, expected),
        *(teacher, gr.State(None), handed_words, known),
    )


def _layout_live() -> tuple[Any, ...]:
    section("Now", "A training goes on when this page is closed.")
    state = gr.HTML(NOTHING_YET, elem_id="live", apply_default_css=False)
    with gr.Row():
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop")
        see = gr.Button("See it in Compare", visible=False, variant="primary", elem_id="see")
    lines = plot_box("Learning curves of the runs so far", 390, visible=False, elem_id="curves")
    with gr.Accordion("Log", open=False, elem_id="log-fold"):
        log = gr.HTML("", elem_id="log", apply_default_css=False)
    return state, stop, see, lines, log


def _wire_form(place: Place, jobs: Jobs, form: _Form, live: _Live) -> None:
    def start(width: float, *values: Any) -> list[Any]:
        try:
            order = read_form(place, FormValues(*values))
            jobs.start(order)
        except UserError as error:
            return [notice(str(error).strip()), *[gr.skip() for _ in live.outputs]]
        return [HIDDEN_NOTICE, *_snapshot(place, jobs, "", width)]

    inputs = [live.width, *form.values]
    outputs = [form.notice, *live.outputs]
    form.start.click(start, inputs, outputs, **PRESS)
    wire_network_box(form.networks, place, form.recipe, form.data, form.handed)
    # What the Data tab handed over holds for its own data.
    form.data.input(
        lambda: (None, HIDDEN_NOTICE),
        None,
        [form.handed, form.handed_words],
        api_visibility="private",
        show_progress="hidden",
    )
    # In the browser: an answer from here could come after the visitor has typed other epochs.
    known = {name: [_expected(name), _epochs(place, name)] for _, name in recipe_choices()}
    form.recipe.input(
        None,
        form.recipe,
        [form.expected, form.epochs],
        js=f"name => ({json.dumps(known)})[name]",
        api_visibility="private",
        show_progress="hidden",
    )


def _wire_live(
    page: gr.Blocks, place: Place, jobs: Jobs, live: _Live, tabs: gr.Tabs, compare: CompareTab
) -> None:
    def poll(seen: str, width: float) -> list[Any]:
        return _snapshot(place, jobs, seen, width)

    def arrive(width: float) -> list[Any]:
        return [*_snapshot(place, jobs, "", width), width]

    def stop(width: float) -> list[Any]:
        study = jobs.running()
        if study is not None:
            try:
                jobs.stop(study.path.name)
            except UserError as error:
                gr.Warning(str(error))  # it ended in the moment between, which is no fault
        return _snapshot(place, jobs, "", width)

    def see() -> list[Any]:
        shown = _shown(place, jobs)
        chosen = shown.path.name if shown is not None else None
        return [gr.update(selected="compare"), compare.refreshed(chosen)]

    gr.Timer(POLL_SECONDS).tick(poll, [live.seen, live.width], live.outputs, **POLL)
    # A load event belongs to the page, so a refresh and a second tab begin with the truth.
    page.load(arrive, live.width, [*live.outputs, live.width], js=WIDTH, **POLL)
    live.stop.click(stop, live.width, live.outputs, **PRESS)
    live.see.click(see, None, [tabs, compare.study], **PRESS)


def _shown(place: Place, jobs: Jobs) -> StudyFolder | None:
    """The study that runs, else the newest one trained here."""
    running = jobs.running()
    if running is not None:
        return running
    return next(iter(place.runs.studies()), None)


def _snapshot(place: Place, jobs: Jobs, seen: str, width: float) -> list[Any]:
    """Everything live, in the order of ``_Live.outputs``; what has not changed is left alone."""
    study = _shown(place, jobs)
    if study is None:
        stop = gr.update(interactive=False)
        return [NOTHING_YET, stop, gr.update(visible=False), _figure(None), "", NO_STUDIES, ""]
    try:
        now = fingerprint(study)
        state, figure, log = card(study), gr.skip(), gr.skip()
        if now != seen:
            figure, log = _figure(curves(study, min(2, panel_columns(width)))), log_html(study)
    except UserError as error:
        now, state, figure, log = "damaged", notice(str(error)), _figure(None), ""
    finished = study.state() == "finished"
    return [
        state,
        gr.update(interactive=is_running(study)),
        gr.update(visible=finished),
        figure,
        log,
        studies_table(own_studies(place)),
        now,
    ]


def _figure(value: str | None) -> Any:
    return gr.update(value=value, visible=value is not None)


def _expected(name: str) -> str:
    recipe = load_recipe(name)
    parts = [
        recipe.expected,
        f"Images of {recipe.data.size} px; student {recipe.student.name}, intermediate teacher "
        f"{recipe.intermediate.name}, frozen teacher {recipe.teacher.name}.",
    ]
    text = " ".join(escape(part) for part in parts if part)
    return f'<p class="ds-hint">{text}</p>'


def _epochs(place: Place, name: str) -> int:
    return min(load_recipe(name).train.epochs, place.limits.epochs)
