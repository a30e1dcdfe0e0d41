"""The choice of networks in the Train tab, with what is known of each under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.catalogue.sources import FIELD_GUIDE
from app.config import AppConfig
from app.train.form import AS_IN_RECIPE, Handed, network_choices
from app.train.network_facts import Looks, NetworkQuery, look_html, offered_network
from app.ui.notice import notice
from dait.config.recipe import load_recipe, recipe_names
from dait.errors import UserError

SOON_SECONDS = 0.3
POLL_SECONDS = 1.0
USUAL_CLASSES = 20
"""The classes of a data set that nobody has read yet."""

ROLES = ("student", "intermediate")
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}
SELECT_TEXT = "() => { setTimeout(() => document.querySelector('#%s input')?.select(), 150); }"
"""A search begins with the first letter typed, not behind the name that stands there. Later than
the click that gave the focus, which would put the cursor somewhere."""


@dataclass(frozen=True)
class NetworkBox:
    """The two choices, and a line of facts under each. ``opened``: whether they were looked at."""

    fold: gr.Accordion
    choices: tuple[gr.Dropdown, gr.Dropdown]
    facts: tuple[gr.HTML, gr.HTML]
    opened: gr.State
    timer: gr.Timer


def network_box(config: AppConfig, fold: gr.Accordion) -> NetworkBox:
    """Lay the choices out inside ``fold``, which is the current accordion."""
    student, below = _choice(config, "Student", "student")
    intermediate, under = _choice(config, "Intermediate teacher", "intermediate")
    timer = gr.Timer(POLL_SECONDS, active=False)
    return NetworkBox(fold, (student, intermediate), (below, under), gr.State(False), timer)


def wire_network_box(
    box: NetworkBox, config: AppConfig, recipe: gr.Dropdown, data: gr.Dropdown, handed: gr.State
) -> None:
    """Look at the chosen networks once the fold is open, and whenever a choice changes."""
    looks = Looks()

    def look(opened: object, *values: object) -> list[Any]:
        if opened is not True:
            return [gr.skip(), gr.skip(), gr.update(active=False)]
        lines, busy = looked(config, looks, *values)
        return [*lines, gr.update(active=busy)]

    inputs = [box.opened, recipe, data, handed, *box.choices]
    events = [c.change for c in (box.opened, recipe, data, handed, *box.choices)]
    gr.on([*events, box.timer.tick], look, inputs, [*box.facts, box.timer], **QUIET)
    box.fold.expand(lambda: True, None, box.opened, **QUIET)
    if config.paths:
        box.fold.expand(_every_name, None, list(box.choices), **QUIET)
    for role, choice in zip(ROLES, box.choices, strict=True):
        choice.focus(None, None, None, js=SELECT_TEXT % role, **QUIET)


def looked(
    config: AppConfig, looks: Looks, recipe: object, data: object, handed: object, *names: object
) -> tuple[list[str], bool]:
    """A line of HTML for each role's network, and whether one is still being looked at.

    The values come from a browser: ``names`` are the student's and the intermediate teacher's.
    """
    if recipe not in recipe_names():
        return ["" for _ in ROLES], False
    chosen = load_recipe(str(recipe))
    drawn = data == FIELD_GUIDE or (not data and chosen.data.source == FIELD_GUIDE)
    classes = chosen.data.species if drawn else USUAL_CLASSES
    size = chosen.data.size
    if isinstance(handed, Handed) and handed.data == data and handed.size:
        size = handed.size
    lines, busy = [], False
    for role, name in zip(ROLES, names, strict=True):
        usual = getattr(chosen, role).model_dump_json()
        try:
            kept = name in (AS_IN_RECIPE, None)
            wanted = NetworkQuery(
                None if kept else offered_network(config, name), usual, classes, size
            )
        except UserError as error:
            lines.append(notice(str(error)))
            continue
        work = looks.at(wanted)
        work.wait(SOON_SECONDS)
        lines.append(look_html(wanted, work))
        busy = busy or work.running
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


def _every_name() -> list[Any]:
    """The choices with every name there is: timm takes seconds, so not before they are wanted."""
    from dait.models.catalogue import all_names

    choices = [network_choices()[0], *((name, name) for name in all_names())]
    return [gr.update(choices=choices) for _ in ROLES]
