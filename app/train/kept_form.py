"""The form of the Train tab survives a reload of the page and a restart of the server.

Its values are kept in the visitor's browser, and are read like any other values from there: what
the page does not offer (any more) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from app.config import AppConfig
from app.server.loader import light
from app.train.form import data_choices, network_choices, recipe_choices, teachers
from app.train.tab import TrainForm, expected_html
from app.ui.notice import Update
from dait.config.arms import ARMS
from dait.config.recipe import load_recipe

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
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}


def keep_form(page: gr.Blocks, form: TrainForm, config: AppConfig) -> None:
    """Keep the form whenever it changes, and fill it when the page is opened."""
    kept = gr.BrowserState(None, storage_key=KEY, secret=SECRET)
    fields = {name: form.fields[name] for name in KEPT}

    @light
    def save(*values: Any) -> dict[str, Any]:
        return dict(zip(fields, values, strict=True))

    @light
    def restore(values: Any) -> Update:
        found = usable(config, values)
        changes: Update = {fields[name]: value for name, value in found.items()}
        if "recipe" in found:
            changes[form.expected] = expected_html(load_recipe(found["recipe"]))
        return changes or {form.expected: gr.skip()}  # Gradio takes no empty dict

    page.load(restore, kept, [*fields.values(), form.expected], **QUIET)
    gr.on(
        [field.change for field in fields.values()],
        save,
        list(fields.values()),
        kept,
        trigger_mode="always_last",
        **QUIET,
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
