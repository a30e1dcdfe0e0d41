"""A sweep over one setting from the form: what is tried, its command, and its start."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin

import gradio as gr
from pydantic import BaseModel

from app.config import AppConfig
from app.policy import Policy
from app.studies.order import Order
from app.train.command import command_line
from app.train.form import FormValues, read_form
from app.ui.events import LAST, QUIET
from app.ui.notice import hint, notice, notice_box
from app.ui.templates import render
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.storage.files import parse_yaml

SECTIONS = ("train", "direct", "dait", "vl2lite", "dho", "kd", "takd")
"""Parts of a recipe whose settings can be tried; others change the data or the teacher."""
FIRST = "direct.feature_weight"
LONGEST = 500
EXPLAINED = hint(
    "Trains the ticked arms as the form says, and once more for each value of one setting, and "
    "compares them on the validation images; the test images are not read. It runs in the queue as "
    "a study does, and its chart is drawn below as it comes."
)


class SweepBox:
    """The fold and what is in it."""

    def __init__(self) -> None:
        with gr.Accordion("Try values of one setting", open=False, elem_id="sweep"):
            gr.HTML(EXPLAINED, apply_default_css=False)
            self.setting = gr.Dropdown(
                settings(), value=FIRST, label="Setting", elem_id="sweep-setting"
            )
            self.values = gr.Textbox(
                "0, 1, 5", label="Values, separated by commas", max_lines=1, elem_id="sweep-values"
            )
            self.start = gr.Button("Start the sweep", size="sm", elem_id="sweep-start")
            self.message = notice_box("sweep-notice")
            self.command = gr.HTML("", elem_id="sweep-command", apply_default_css=False)

    def inputs(self, values: list[Any]) -> list[Any]:
        """The inputs of ``sweep_order`` after the configuration."""
        return [self.setting, self.values, *values]

    def wire(self, config: AppConfig, values: list[Any]) -> None:
        """Show the command of what stands in the form. values: the form's components."""

        def show(*given: Any) -> str:
            try:
                return command_html(config, sweep_order(config, *given))
            except UserError as error:
                return notice(str(error).strip(), calm=True)

        inputs = self.inputs(values)
        changes: list[Callable[..., Any]] = [component.change for component in inputs]
        gr.on(
            changes,
            show,
            inputs,
            self.command,
            concurrency_limit=2,
            **QUIET,
            **LAST,
        )


@lru_cache(maxsize=1)
def settings() -> list[tuple[str, str]]:
    """(key and description, key) of every setting that is a number, a switch or a choice."""
    found = []
    for section in SECTIONS:
        model = Recipe.model_fields[section].annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        for name, field in model.model_fields.items():
            if _is_plain(field.annotation):
                key = f"{section}.{name}"
                found.append((f"{key}: {field.description or name}", key))
    return found


def sweep_order(config: AppConfig, setting: object, text: object, *form: Any) -> Order:
    """The order for a sweep. Raises ``UserError`` for the first value that is not possible."""
    order = read_form(config, FormValues(*form))
    if setting not in [key for _, key in settings()]:
        raise UserError("Choose the setting from the list.")
    order = replace(order, vary=(str(setting), read_values(text)))
    for value in order.vary[1] if order.vary else ():
        order.recipe.changed({str(setting): value})
    Policy(config).require_order(order)
    return order


def read_values(text: object) -> tuple[Any, ...]:
    """``0, 1, 5`` → (0, 1, 5). Raises ``UserError`` for anything else."""
    typed = text.strip() if isinstance(text, str) else ""
    try:
        values = parse_yaml(f"[{typed}]") if 0 < len(typed) <= LONGEST else None
    except ValueError:
        values = None
    if (
        not isinstance(values, list)
        or not values
        or not all(isinstance(value, (int, float, str, bool)) for value in values)
    ):
        raise UserError("Values: give some, separated by commas, as in 0, 1, 5.")
    return tuple(dict.fromkeys(values))


def command_html(config: AppConfig, order: Order) -> str:
    """The command that runs the same sweep."""
    runs = order.trainings * len(order.arms) * len(order.seeds)
    return render("sweep_command", command=command_line(config, order), runs=runs)


def _is_plain(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(part is type(None) or _is_plain(part) for part in get_args(annotation))
    return annotation in (int, float, bool)
