"""Which test images stand in the gallery: samples of every class, or those that match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare.linked_views import ANY, LinkedViews
from app.compare.picked import Picked
from app.compare.view_link import LinkState
from app.compare.views import CompareViews
from app.explore.html import chips_html
from app.server.loader import first_view_is_out, light
from app.ui.notice import HIDDEN_NOTICE, KEPT, framed, shows_errors

PRESSED = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('click', { index: Number(button.dataset.index) });
});
"""
ANY_CLASS = ("Any class", ANY)
ANY_PART = ("The whole split", "")
NOTHING = '<p class="ds-hint">No test image matches. Ask for less.</p>'

Preset = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A name, and the roles of the networks that must be right, and wrong."""


@dataclass(frozen=True)
class Filters:
    """The components above the gallery."""

    presets: gr.HTML
    fold: gr.Accordion
    right: gr.Dropdown
    wrong: gr.Dropdown
    label: gr.Dropdown
    part: gr.Dropdown
    shows_errors: gr.HTML

    @property
    def chosen(self) -> list[Any]:
        """What is looked for."""
        return [self.right, self.wrong, self.label, self.part]

    @property
    def settled(self) -> list[Any]:
        """What ``settle`` changes."""
        return [self.presets, self.fold, *self.chosen]

    def settle(
        self, view: LinkState, networks: list[tuple[str, str]], parts: list[tuple[str, str]],
        names: list[str],
    ) -> list[Any]:  # fmt: skip
        """Where another study, or a link, is opened. names: of the classes."""
        classes = [ANY_CLASS, *((name, index) for index, name in enumerate(names))]
        asks = bool(view.right or view.wrong or view.part) or view.label is not None
        return [
            chips_html([title for title, _, _ in presets(networks)]),
            gr.update(open=asks),
            gr.update(choices=networks, value=list(view.right)),
            gr.update(choices=networks, value=list(view.wrong)),
            gr.update(choices=classes, value=ANY if view.label is None else view.label),
            gr.update(choices=[ANY_PART, *parts], value=view.part),
        ]


def presets(networks: list[tuple[str, str]]) -> list[Preset]:
    """What people ask most, of (title, role) pairs: the last student against every other one."""
    roles = tuple(role for _, role in networks)
    students = [(title, role) for title, role in networks if role not in ("vlm", "intermediate")]
    found: list[Preset] = [("Every class", (), ())]
    *others, (title, role) = students
    for other, of_other in others:
        found.append((f"{title} right, {other} wrong", (role,), (of_other,)))
        found.append((f"{other} right, {title} wrong", (of_other,), (role,)))
    return [*found, ("All right", roles, ()), ("All wrong", (), roles)]


def layout_filters() -> Filters:
    """Lay the filters out."""
    chips = gr.HTML("", elem_id="presets", js_on_load=PRESSED, apply_default_css=False)
    with gr.Accordion("Find images", open=False, elem_id="find") as fold:
        with gr.Row():
            right = gr.Dropdown(
                [], value=[], multiselect=True, label="All of these right", min_width=220,
                elem_id="find-right",
            )  # fmt: skip
            wrong = gr.Dropdown(
                [], value=[], multiselect=True, label="All of these wrong", min_width=220,
                elem_id="find-wrong",
            )  # fmt: skip
        with gr.Row():
            label = gr.Dropdown(
                [ANY_CLASS], value=ANY, label="True class", min_width=220, elem_id="find-class"
            )
            part = gr.Dropdown(
                [ANY_PART], value="", label="Part of the split", min_width=220, elem_id="find-part"
            )
    said = framed("", "found", visible=False)
    return Filters(chips, fold, right, wrong, label, part, said)


def gallery_handler(views: CompareViews, linked: LinkedViews) -> Callable[..., list[Any]]:
    """The handler that fills the gallery: of study, seed, ``Picked`` and ``Filters.chosen``.

    It gives the notice, what was found, and the gallery. Where nothing is picked yet, the first
    image is from then on.
    """

    @light
    @shows_errors(KEPT, "")
    def fill(
        study: str | None, seed: int | None, picked: Picked, right: Any, wrong: Any, label: Any,
        part: Any,
    ) -> list[Any]:  # fmt: skip
        if study is None:
            return [HIDDEN_NOTICE, gr.skip(), ""]
        wanted = linked.wanted(study, seed, right, wrong, label, part)
        if wanted.anything:
            gallery, first = picked.made(study, lambda picks: views.gallery(study, seed, picks))
            said: Any = gr.update(value="", visible=False)
        else:
            found, gallery, match = picked.made(
                study, lambda picks: linked.matches(study, seed, wanted, picks)
            )
            first = 0 if match is None else match
            gallery = gallery or NOTHING
            said = gr.update(value=f'<p role="status">{found}</p>', visible=True)
        if not picked.of(study):
            picked.put(study, ("test", first))
        # Asked for once the table is there; what comes next needs the libraries.
        first_view_is_out()
        return [HIDDEN_NOTICE, said, gallery]

    return fill


def preset_handler(linked: LinkedViews) -> Callable[..., list[Any]]:
    """The handler of a preset that is pressed: of study and seed; it gives ``Filters.chosen``."""

    def press(study: str | None, seed: int | None, event: gr.EventData) -> list[Any]:
        index = getattr(event, "index", None)
        known = presets(linked.networks(study, seed)) if study else []
        if not isinstance(index, int) or not 0 <= index < len(known):
            return [gr.skip()] * 4
        _, right, wrong = known[index]
        if not right and not wrong:
            return [[], [], ANY, ""]
        return [list(right), list(wrong), gr.skip(), gr.skip()]

    return press
