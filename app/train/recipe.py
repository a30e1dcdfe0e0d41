"""The form as a command line and as a recipe file to save and load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.config import AppConfig, hide_paths
from app.studies.order import Order
from app.train.again import form_or_recipe_for
from app.train.command import command_line, file_name, recipe_file
from app.train.form import FormValues, read_form
from app.ui.events import UNLIMITED
from app.ui.notice import Update, notice, notice_box, shows_errors
from dait.config.arms import DEFAULT_ARMS
from dait.config.recipe import LONGEST_TEXT, recipe_from_text
from dait.errors import UserError
from dait.storage.files import read_bytes

SUFFIXES = [".yaml", ".yml"]
# In the browser: on the server the file would be in a cache that everybody can read.
DOWNLOAD = """file => {
  if (!file) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file.text], { type: 'application/yaml' }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""

Fill = Callable[[FormValues, str], Update]
"""From the form's new values and a sentence about them to the changes of the page."""


@dataclass(frozen=True)
class RecipeBox:
    """The command line, the two buttons, and the file that the browser saves."""

    command: gr.Textbox
    save: gr.Button
    load: gr.UploadButton
    message: gr.HTML
    file: gr.JSON


def recipe_box(first: str) -> RecipeBox:
    """Lay it out; ``first``: the command line for the initial form."""
    command = gr.Textbox(
        first,
        label="The same in a terminal",
        info="Run it in the project's folder. It is updated with the form.",
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
    message = notice_box("recipe-notice")
    return RecipeBox(command, save, load, message, gr.JSON(visible=False))


def wire_recipe_box(
    box: RecipeBox,
    config: AppConfig,
    values: list[Any],
    outputs: list[Any],
    fill: Fill,
) -> None:
    """Update the command line with the form, and save and load the form as a file.

    values: the form's components in the order of ``FormValues``; outputs: what ``fill`` changes.
    """

    def show(*values: Any) -> str:
        return preview(config, FormValues(*values))

    @shows_errors(box.message, {box.file: None})
    def save(*values: Any) -> Update:
        order = read_form(config, FormValues(*values))
        return {box.file: {"name": file_name(order.recipe), "text": recipe_file(config, order)}}

    @shows_errors(box.message)
    def load(file: str | None, *values: Any) -> Update:
        filled, sentence = load_recipe_file(config, file, FormValues(*values))
        return fill(filled, "") | {box.message: notice(sentence, calm=True)}

    events = [component.change for component in values]
    gr.on(events, show, values, box.command, trigger_mode="always_last", **UNLIMITED)
    box.save.click(save, values, [box.file, box.message], **UNLIMITED).then(
        None, box.file, None, js=DOWNLOAD, api_visibility="private"
    )
    box.load.upload(load, [box.load, *values], [box.message, *outputs], **UNLIMITED)


def preview(config: AppConfig, values: FormValues) -> str:
    """The command line for these values, or a comment that says why there is none."""
    try:
        return command_line(config, read_form(config, values))
    except UserError as error:
        return f"# {' '.join(hide_paths(str(error)).split())}"


def load_recipe_file(
    config: AppConfig, file: str | None, current: FormValues
) -> tuple[FormValues, str]:
    """The form for an uploaded recipe file, and a sentence about it; arms and seeds are kept.

    Raises ``UserError`` if the file is not a recipe.
    """
    name, text = _read(file)
    order = Order(recipe_from_text(text, name), DEFAULT_ARMS, (0,))
    values, differences = form_or_recipe_for(config, order, name)
    kept = replace(
        values,
        arms=current.arms,
        seed_count=current.seed_count,
        first_seed=current.first_seed,
    )
    return kept, f"The form is filled in from {name}. {differences}".strip()


def _read(file: str | None) -> tuple[str, str]:
    """The name and the text of an uploaded file."""
    if not file:
        raise UserError("Choose a recipe file.")
    path = Path(file)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"‘{path.name[:80]}’ is not a recipe: its name must end in .yaml or .yml.")
    try:
        # UTF-8 takes up to four bytes a character.
        return path.name, read_bytes(path, 4 * LONGEST_TEXT).decode()
    except UnicodeDecodeError:
        raise UserError(f"‘{path.name[:80]}’ is not a text file.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"‘{path.name[:80]}’ cannot be read as a recipe: {error}.") from None
