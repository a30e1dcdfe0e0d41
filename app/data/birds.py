"""The Field Guide's part of the Data tab: its species, and what distinguishes two of them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.data.card import card_html, gallery_html, species_choices
from app.ui.events import EVERY, LAST, PRIVATE
from app.ui.notice import framed, hint, notice, section
from dait.errors import UserError

CHOOSE: dict[str, Any] = {**PRIVATE, **LAST, "concurrency_limit": 2}
PICK = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-key]');
  if (button) trigger('click', { key: button.dataset.key });
});
"""


def build_birds(shown: gr.State) -> None:
    """Lay the part out inside the current column and wire it.

    shown: becomes True when the part is visible; the card is drawn then.
    """
    species = species_choices()
    section(
        "What distinguishes two species",
        "Both in the same pose. Species of a family differ in two or three small parts.",
    )
    with gr.Row():
        first = gr.Dropdown(species, value=species[0][1], label="Species", elem_id="first-bird")
        second = gr.Dropdown(
            species, value=species[1][1], label="Compared with", elem_id="second-bird"
        )
    card = framed("", "bird-card")
    with gr.Accordion("All species", open=False, elem_id="species") as fold:
        gr.HTML(
            hint("Press a picture to compare its species with the one above."),
            apply_default_css=False,
        )
        gallery = gr.HTML("", elem_id="species-gallery", js_on_load=PICK, apply_default_css=False)

    def compare(one: object, other: object) -> str:
        try:
            return card_html(str(one), str(other))
        except UserError as error:
            return notice(str(error))

    def pick(one: object, other: object, event: gr.EventData) -> tuple[Any, str]:
        key = getattr(event, "key", None)
        if key not in [known for _, known in species] or key == one:
            return gr.skip(), compare(one, other)
        return key, compare(one, key)

    def show(is_shown: bool, one: object, other: object) -> Any:
        return compare(one, other) if is_shown else gr.skip()

    shown.change(show, [shown, first, second], card, **CHOOSE)
    for bird in (first, second):
        bird.input(compare, [first, second], card, **CHOOSE)
    fold.expand(gallery_html, None, gallery, **CHOOSE)
    gallery.click(pick, [first, second], [second, card], **{**CHOOSE, **EVERY})
