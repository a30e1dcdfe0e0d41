"""The choice of networks in the Train tab, with facts about each below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.catalogue.sources import FIELD_GUIDE
from app.config import AppConfig
from app.pipeline.facts import USUAL_CLASSES
from app.server.loader import engine
from app.train.form import AS_IN_RECIPE, DataSelection, network_choices
from app.train.network_facts import NetworkMeasurements, NetworkQuery, facts_html, offered_network
from app.ui.events import LAST, UNLIMITED
from app.ui.notice import Update, notice
from dait.config.recipe import load_recipe, recipe_names
from dait.errors import UserError

SOON_SECONDS = 0.3
POLL_SECONDS = 1.0

ROLES = ("student", "intermediate")
FACTS: dict[str, Any] = {**UNLIMITED, **LAST}
SELECT_TEXT = "() => { setTimeout(() => document.querySelector('#%s input')?.select(), 150); }"
"""Typing replaces the current name. Delayed, because the click that gives the focus would move the
cursor."""


@dataclass(frozen=True)
class NetworkBox:
    """The two choices, and the facts below each. ``opened``: whether the fold was opened."""

    fold: gr.Accordion
    student: gr.Dropdown
    student_facts: gr.HTML
    intermediate: gr.Dropdown
    intermediate_facts: gr.HTML
    opened: gr.State
    timer: gr.Timer


def network_box(config: AppConfig, fold: gr.Accordion) -> NetworkBox:
    """Lay the choices out inside ``fold``, which is the current accordion."""
    student, student_facts = _choice(config, "Student", "student")
    intermediate, intermediate_facts = _choice(config, "Intermediate teacher", "intermediate")
    return NetworkBox(
        fold=fold,
        student=student,
        student_facts=student_facts,
        intermediate=intermediate,
        intermediate_facts=intermediate_facts,
        opened=gr.State(False),
        timer=gr.Timer(POLL_SECONDS, active=False),
    )


def wire_network_box(
    box: NetworkBox, config: AppConfig, recipe: gr.Dropdown, data: gr.Dropdown, selection: gr.State
) -> None:
    """Measure the chosen networks once the fold is open, and whenever a choice changes.

    selection: holds the Data tab's ``DataSelection``.
    """
    measurements = NetworkMeasurements()

    def update(opened: object, *values: object) -> Update:
        if opened is not True:
            return {box.timer: gr.update(active=False)}
        (student, intermediate), busy = network_lines(config, measurements, *values)
        return {
            box.student_facts: student,
            box.intermediate_facts: intermediate,
            box.timer: gr.update(active=busy),
        }

    choices = [box.student, box.intermediate]
    inputs: list[Any] = [box.opened, recipe, data, selection, *choices]
    gr.on(
        [*(component.change for component in inputs), box.timer.tick],
        update,
        inputs,
        [box.student_facts, box.intermediate_facts, box.timer],
        **FACTS,
    )
    box.fold.expand(lambda: True, None, box.opened, **FACTS)
    if config.paths:
        box.fold.expand(_all_names, None, choices, **FACTS)
    for choice in choices:
        choice.focus(None, None, None, js=SELECT_TEXT % choice.elem_id, **FACTS)


def network_lines(
    config: AppConfig,
    measurements: NetworkMeasurements,
    recipe: object,
    data: object,
    selection: object,
    *names: object,
) -> tuple[list[str], bool]:
    """A line of HTML for each role's network, and whether one is still being measured.

    The values come from a browser: ``names`` are the student's and the intermediate teacher's.
    """
    if recipe not in recipe_names():
        return ["" for _ in ROLES], False
    chosen = load_recipe(str(recipe))
    drawn = data == FIELD_GUIDE or (not data and chosen.data.source == FIELD_GUIDE)
    classes = chosen.data.species if drawn else USUAL_CLASSES
    size = chosen.data.size
    if isinstance(selection, DataSelection) and selection.data == data and selection.size:
        size = selection.size
    lines, busy = [], False
    for role, name in zip(ROLES, names, strict=True):
        usual = getattr(chosen, role).model_dump_json()
        try:
            kept = name in (AS_IN_RECIPE, None)
            query = NetworkQuery(
                None if kept else offered_network(config, name), usual, classes, size
            )
        except UserError as error:
            lines.append(notice(str(error)))
            continue
        job = measurements.of(query)
        job.wait(SOON_SECONDS)
        lines.append(facts_html(query, job))
        busy = busy or job.running
    return lines, busy


def _choice(config: AppConfig, label: str, name: str) -> tuple[gr.Dropdown, gr.HTML]:
    choice = gr.Dropdown(
        network_choices(),
        value=AS_IN_RECIPE,
        label=label,
        info="Type to search timm's and torchvision's networks." if config.paths else None,
        allow_custom_value=config.paths,
        elem_id=name,
    )
    return choice, gr.HTML("", elem_id=f"{name}-facts", apply_default_css=False)


def _all_names() -> list[Any]:
    """The choices with all names, which timm lists in seconds: only when the fold is opened."""
    choices = [network_choices()[0], *((name, name) for name in engine().network_names())]
    return [gr.update(choices=choices) for _ in ROLES]
