"""The form of the Train tab survives a reload of the page and a restart of the server.

Its values are kept in the visitor's browser, and are read like any other values from there: what
the page does not offer (any more) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from app.config import AppConfig
from app.server.loader import light
from app.train.form import data_choices, network_choices, recipe_choices, teachers
from app.ui.events import UNLIMITED
from app.ui.notice import Update
from dait.config.arms import ARMS
from dait.config.recipe import Recipe, load_recipe

KEY = "dait-train-form"
# Gradio encrypts what it keeps; with a key that changes, a restart would lose it. There is nothing
# secret in the form.
SECRET = "the form of the Train tab"
NUMBERS = ("epochs", "seed_count", "first_seed")
LISTS = ("recipe", "data", "teacher", "student", "intermediate")
KEPT = (*LISTS, "arms", *NUMBERS)
"""Fields by their names in ``FormValues``. Prompts and loaded files are not kept."""
LONGEST = 300
LARGEST = 2.0**53


def form_storage() -> gr.BrowserState:
    """Where the form is kept. Laid out outside of the tabs: Gradio's page does not read what is in
    a closed one."""
    return gr.BrowserState(None, storage_key=KEY, secret=SECRET)


def keep_form(
    page: gr.Blocks,
    kept: gr.BrowserState,
    config: AppConfig,
    components: Mapping[str, Any],
    expected: gr.HTML,
    describe: Callable[[Recipe], str],
) -> None:
    """Keep the form whenever it changes, and fill it when the page is opened.

    kept: of ``form_storage``; components: of the fields; expected, describe: where and how the
    recipe is described. Called before other handlers are wired: Gradio's page runs those of one
    event one after the other.
    """
    fields = {name: components[name] for name in KEPT}

    @light
    def restore(values: Any) -> Update:
        found = usable(config, values)
        changes: Update = {fields[name]: value for name, value in found.items()}
        if "recipe" in found:
            changes[expected] = describe(load_recipe(found["recipe"]))
        return changes or {expected: gr.skip()}  # Gradio takes no empty dict

    names = json.dumps(KEPT)
    gr.on(
        [field.change for field in fields.values()],
        None,
        list(fields.values()),
        kept,
        js=f"(...values) => Object.fromEntries({names}.map((name, at) => [name, values[at]]))",
        api_visibility="private",
    )
    page.load(
        restore,
        kept,
        [*fields.values(), expected],
        **UNLIMITED,
    )


def usable(config: AppConfig, values: object) -> dict[str, Any]:
    """Of kept values those that the form can have."""
    if not isinstance(values, Mapping):
        return {}
    offered = {
        "recipe": recipe_choices(),
        "data": data_choices(config),
        "teacher": teachers(config),
        "student": network_choices(),
        "intermediate": network_choices(),
    }
    found: dict[str, Any] = {}
    for name in LISTS:
        value = values.get(name)
        known = [key for _, key in offered[name]]
        # The user of this machine may name any network or teacher.
        named = config.paths and name not in ("recipe", "data") and _is_name(value)
        if value in known or named:
            found[name] = value
    arms = values.get("arms")
    if isinstance(arms, Sequence) and not isinstance(arms, str) and set(map(str, arms)) <= {*ARMS}:
        found["arms"] = [arm for arm in ARMS if arm in arms]
    for name in NUMBERS:
        value = values.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LARGEST:
            found[name] = value
    return found


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST
