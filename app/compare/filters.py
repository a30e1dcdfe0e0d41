"""Which test images are in the gallery: samples of every class, or those that match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.compare.linked_views import ANY, LinkedViews
from app.compare.selection import Selection
from app.compare.view_link import LinkState
from app.compare.views import CompareViews
from app.server.loader import first_view_is_out, light
from app.ui.buttons import SEND_INDEX, chips_html
from app.ui.notice import Update, framed, hint, shows_errors
from app.ui.templates import render

ANY_CLASS = ("Any class", ANY)
ANY_PART = ("The whole split", "")
NO_MATCH = hint("No test image matches. Remove a condition.")

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
    found: gr.HTML

    @property
    def conditions(self) -> list[Any]:
        """What an image must match."""
        return [self.right, self.wrong, self.label, self.part]

    @property
    def reset_outputs(self) -> list[Any]:
        """What ``reset`` changes."""
        return [self.presets, self.fold, *self.conditions]

    def reset(
        self,
        view: LinkState,
        networks: list[tuple[str, str]],
        parts: list[tuple[str, str]],
        class_names: list[str],
    ) -> Update:
        """The filters for another study, or for a link."""
        classes = [ANY_CLASS, *((name, index) for index, name in enumerate(class_names))]
        filtered = bool(view.right or view.wrong or view.part) or view.label is not None
        return {
            self.presets: chips_html([title for title, _, _ in presets(networks)]),
            self.fold: gr.update(open=filtered),
            self.right: gr.update(choices=networks, value=list(view.right)),
            self.wrong: gr.update(choices=networks, value=list(view.wrong)),
            self.label: gr.update(choices=classes, value=ANY if view.label is None else view.label),
            self.part: gr.update(choices=[ANY_PART, *parts], value=view.part),
        }


def presets(networks: list[tuple[str, str]]) -> list[Preset]:
    """The usual filters, of (title, role) pairs: the last student against every other one."""
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
    chips = gr.HTML("", elem_id="presets", js_on_load=SEND_INDEX, apply_default_css=False)
    with gr.Accordion("Find images", open=False, elem_id="find") as fold:
        with gr.Row():
            right = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                label="All of these right",
                min_width=220,
                elem_id="find-right",
            )
            wrong = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                label="All of these wrong",
                min_width=220,
                elem_id="find-wrong",
            )
        with gr.Row():
            label = gr.Dropdown(
                [ANY_CLASS], value=ANY, label="True class", min_width=220, elem_id="find-class"
            )
            part = gr.Dropdown(
                [ANY_PART], value="", label="Part of the split", min_width=220, elem_id="find-part"
            )
    found = framed("", "found", visible=False)
    return Filters(
        presets=chips, fold=fold, right=right, wrong=wrong, label=label, part=part, found=found
    )


def gallery_handler(
    views: CompareViews,
    linked: LinkedViews,
    filters: Filters,
    gallery: gr.HTML,
    box: gr.HTML,
) -> Callable[..., Update]:
    """The handler that fills the gallery, of study, seed, ``Selection`` and the conditions.

    box: for notices. Where no image is selected yet, it selects the first one. After the
    conditions it takes whether earlier rows are kept, if the visitor changed the conditions:
    images that do not match are then no longer selected, but the first match is.
    """

    @light
    @shows_errors(box, {gallery: ""})
    def fill_gallery(
        study: str | None,
        seed: int | None,
        selection: Selection,
        right: Any,
        wrong: Any,
        label: Any,
        part: Any,
        keep: bool | None = None,
    ) -> Update:
        if study is None:
            return {gallery: ""}
        query = linked.image_filter(study, seed, right, wrong, label, part)
        if keep is not None and not query.anything:
            _, _, match = linked.matches(study, seed, query, ())
            selection.narrow(study, linked.matching(study, seed, query), match, keep)
        if query.anything:
            first: int | None
            images, first = selection.compute(study, lambda refs: views.gallery(study, seed, refs))
            found: Any = gr.update(value="", visible=False)
        else:
            sentence, images, match = selection.compute(
                study, lambda refs: linked.matches(study, seed, query, refs)
            )
            first = match
            images = images or NO_MATCH
            found = gr.update(value=render("status", sentence=sentence), visible=True)
        if first is not None and not selection.of(study):
            selection.set(study, ("test", first))
        # The table is out already; what follows needs the engine.
        first_view_is_out()
        return {filters.found: found, gallery: images}

    return fill_gallery


def preset_handler(linked: LinkedViews, filters: Filters) -> Callable[..., Update]:
    """The handler of a pressed preset, of study and seed; it sets the conditions."""

    def apply_preset(study: str | None, seed: int | None, event: gr.EventData) -> Update:
        index = getattr(event, "index", None)
        known = presets(linked.networks(study, seed)) if study else []
        if not isinstance(index, int) or not 0 <= index < len(known):
            return {filters.right: gr.skip()}  # Gradio takes no empty dict
        _, right, wrong = known[index]
        conditions: Update = {filters.right: list(right), filters.wrong: list(wrong)}
        if not right and not wrong:
            conditions |= {filters.label: ANY, filters.part: ""}
        return conditions

    return apply_preset
