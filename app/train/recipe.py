"""The form as a command line and as a file: shown, saved, and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.config import AppConfig, hide_paths
from app.studies.order import Order
from app.train.again import form_with
from app.train.command import command_line, file_name, recipe_file
from app.train.form import FormValues, read_form
from app.ui.notice import HIDDEN_NOTICE, notice
from dait.config.arms import DEFAULT_ARMS
from dait.config.recipe import LONGEST_TEXT, recipe_from_text
from dait.errors import UserError
from dait.storage.files import read_bytes

SUFFIXES = [".yaml", ".yml"]
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}
# In the browser: a file of ours would lie in the server's cache for everybody.
DOWNLOAD = """file => {
  if (!file) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file.text], { type: 'application/yaml' }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""

Fill = Callable[[FormValues, str], list[Any]]
"""From the form's new values and a sentence about them to what changes on the page."""


@dataclass(frozen=True)
class RecipeBox:
    """The command line, the two buttons, and what is on its way to the visitor's disk."""

    command: gr.Textbox
    save: gr.Button
    load: gr.UploadButton
    file: gr.JSON


def recipe_box(first: str) -> RecipeBox:
    """Lay it out; ``first``: the command line of the form as it is at first."""
    command = gr.Textbox(
        first,
        label="The same in a terminal",
        info="In the project's folder. It follows the form.",
        lines=2,
        max_lines=6,
        interactive=False,
        buttons=["copy"],
        elem_id="command",
    )
    with gr.Row(elem_classes="ds-actions"):
        save = gr.Button("Save the recipe", size="sm", min_width=120, elem_id="recipe-save")
        load = gr.UploadButton(
            "Load a recipe",
            file_types=SUFFIXES,
            size="sm",
            min_width=120,
            elem_id="recipe-load",
        )
    return RecipeBox(command, save, load, gr.JSON(visible=False))


def wire_recipe_box(
    box: RecipeBox, config: AppConfig, values: list[Any], outputs: list[Any], fill: Fill
) -> None:
    """Let the command line follow the form, and take the form to a file and back.

    values: the form's components in the order of ``FormValues``; outputs: what ``fill`` changes,
    the form's notice last.
    """
    message = outputs[-1]

    def show(*values: Any) -> str:
        return preview(config, FormValues(*values))

    def save(*values: Any) -> list[Any]:
        try:
            order = read_form(config, FormValues(*values))
        except UserError as error:
            return [None, notice(str(error))]
        file = {"name": file_name(order.recipe), "text": recipe_file(config, order)}
        return [file, HIDDEN_NOTICE]

    def load(file: str | None, *values: Any) -> list[Any]:
        try:
            filled, said = loaded(config, file, FormValues(*values))
            return fill(filled, said)
        except UserError as error:
            return [*(gr.skip() for _ in outputs[:-1]), notice(str(error))]

    events = [component.change for component in values]
    gr.on(events, show, values, box.command, trigger_mode="always_last", **QUIET)
    box.save.click(save, values, [box.file, message], **QUIET).then(
        None, box.file, None, js=DOWNLOAD, api_visibility="private"
    )
    box.load.upload(load, [box.load, *values], outputs, **QUIET)


def preview(config: AppConfig, values: FormValues) -> str:
    """What starts these values from a terminal, or why nothing does, as a comment."""
    try:
        return command_line(config, read_form(config, values))
    except UserError as error:
        return f"# {' '.join(hide_paths(str(error)).split())}"


def loaded(config: AppConfig, file: str | None, current: FormValues) -> tuple[FormValues, str]:
    """The form for a recipe's file that was sent, and what to say; arms and seeds stay.

    Raises ``UserError`` for a file that is no recipe.
    """
    called, text = _read(file)
    order = Order(recipe_from_text(text, called), DEFAULT_ARMS, (0,))
    values, differs = form_with(config, order, called)
    kept = replace(
        values,
        arms=current.arms,
        seed_count=current.seed_count,
        first_seed=current.first_seed,
    )
    return kept, f"The form is filled in from {called}. {differs}".strip()


def _read(file: str | None) -> tuple[str, str]:
    """The name and the text of a file that was sent."""
    if not file:
        raise UserError("Choose a recipe's file.")
    path = Path(file)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"‘{path.name[:80]}’ is no recipe: its name ends in .yaml or .yml.")
    try:
        # UTF-8 takes up to four bytes a character.
        return path.name, read_bytes(path, 4 * LONGEST_TEXT).decode()
    except UnicodeDecodeError:
        raise UserError(f"‘{path.name[:80]}’ is no text.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"‘{path.name[:80]}’ cannot be read as a recipe: {error}.") from None
