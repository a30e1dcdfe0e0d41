"""The Compare tab: one study's networks side by side, in figures and on one image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app.compare.filters import gallery_handler, preset_handler
from app.compare.linked_figures import (
    LinkedFigures,
    layout_linked_figures,
    wire_linked_figures,
    wire_marks,
    wire_thumbnails,
)
from app.compare.linked_views import LinkedViews
from app.compare.picked import Pick, Picked
from app.compare.row_box import (
    HIDDEN,
    QUIET,
    WAITING,
    RowBox,
    late_choices,
    layout_row,
    remember,
    rows_handler,
    wire_row,
)
from app.compare.save_figure import build_save_figure
from app.compare.view_link import Arrival, Facts, LinkState, complaint, fitting, read_view
from app.compare.views import CompareViews
from app.server.loader import light
from app.ui.notice import HIDDEN_NOTICE, KEPT, framed, notice, notice_box, section, shows_errors
from app.ui.plot import WIDE, panel_columns, plot_box

EMPTY = (
    '<div class="ds-empty">No finished study yet. Train one in the Train tab: it appears here as '
    "soon as it has finished.</div>"
)
WITH_WIDTH = "(study, seed, _) => [study, seed, window.innerWidth]"
THUMB = "watch('value', () => window.daitLinks.pictureCame(props.value));"


@dataclass(frozen=True)
class CompareTab:
    """What the rest of the page needs of the tab."""

    study: gr.Dropdown
    views: CompareViews
    picked: gr.State
    turns: gr.State
    row: gr.HTML
    arrival: gr.State

    @property
    def showing(self) -> list[Any]:
        """What ``show`` needs to know."""
        return [self.study, self.picked, self.turns]

    @property
    def shown(self) -> list[Any]:
        """What ``show`` changes."""
        return [self.study, self.turns, self.row]

    def show(
        self, study: object, index: object, current: str | None, picked: Picked, turns: int
    ) -> list[Any]:
        """Show the row of heatmaps of a study's test image.

        Raises ``UserError`` for a study or an image that is not there.
        """
        pick: Pick = ("test", index)
        self.views.check(study, pick)
        picked.put(str(study), pick)
        if study == current:
            return [gr.skip(), turns + 1, WAITING]
        return [self.refreshed(str(study)), gr.skip(), WAITING]

    @light
    def opened(self, request: gr.Request, arrival: Arrival) -> Any:
        """The list of studies for a page that is opened, with that of its link, or the first."""
        view, problems = read_view(dict(request.query_params))
        ids = [study_id for _, study_id in self.views.choices()]
        if view.study and view.study not in ids:
            problems = [*problems, f"study “{view.study}”"]
            view = LinkState(ids[0] if ids else "")
        elif ids and not view.study:
            view = replace(view, study=ids[0])
        arrival.put(view, problems)
        return self.refreshed(view.study or None)

    @light
    def refreshed(self, chosen: str | None = None) -> Any:
        """The list of studies anew, with ``chosen`` (or the first) selected."""
        choices = self.views.choices()
        ids = [study_id for _, study_id in choices]
        first = ids[0] if ids else None
        return gr.update(choices=choices, value=chosen if chosen in ids else first)

    @light
    def kept(self, current: str | None, arrival: Arrival | None = None) -> Any:
        """The list of studies anew, leaving the selection alone where there is one.

        arrival: of a page that may not have been opened yet: then its link says what is shown.
        """
        if current:
            return gr.update(choices=self.views.choices())
        if arrival is None:
            return self.refreshed()
        return gr.skip() if arrival.study is None else self.refreshed(arrival.study)


@dataclass(frozen=True)
class _Parts:
    study: gr.Dropdown
    seed: gr.Dropdown
    width: gr.Number
    notice: gr.HTML
    link_notice: gr.HTML
    table: gr.HTML
    bars: gr.HTML
    slices: gr.HTML
    box: RowBox
    linked: LinkedFigures
    plane: gr.HTML
    thumb: gr.HTML
    similarity: gr.HTML
    representation: gr.HTML
    turns: gr.State
    arrival: gr.State


def build_compare_tab(views: CompareViews) -> CompareTab:
    """Lay the tab out inside the current ``gr.Tab`` and wire it."""
    linked = LinkedViews(views.comparisons)
    parts = _layout(views.first_table() or WAITING)
    build_save_figure(views, linked, parts.box, parts.linked)
    _wire_study(parts, views, linked)
    wire_row(parts.box, views)
    wire_linked_figures(parts.linked, parts.box, linked)
    wire_marks(parts.linked, parts.box, parts.plane, parts.similarity, views, linked)
    wire_thumbnails(parts.plane, parts.thumb, parts.box, linked)
    box = parts.box
    return CompareTab(parts.study, views, box.picked, parts.turns, box.row, parts.arrival)


def _layout(first_table: str) -> _Parts:
    with gr.Row(equal_height=True):
        study = gr.Dropdown([], label="Study", scale=4, min_width=260, elem_id="study")
        seed = gr.Dropdown([], label="Seed", scale=1, min_width=110, visible=False, elem_id="seed")
    width = gr.Number(WIDE, visible=False)
    link_notice = notice_box("link-notice")
    top_notice = notice_box("compare-notice")
    section(
        "Accuracy and cost",
        "Every student was trained on the same images, with the same seeds and schedule. DAIT "
        "trains its intermediate teacher besides.",
    )
    table = framed(first_table, "table")
    with gr.Row():
        with gr.Column(min_width=320):
            bars = plot_box("Test accuracy of every network", 380, elem_id="bars")
        with gr.Column(min_width=320):
            slices = plot_box("Accuracy on familiar and unfamiliar backgrounds", 380)
    box = layout_row(study, seed)
    linked = layout_linked_figures()
    section(
        "How the classes lie",
        "The same test images through every network: t-SNE of the features, then the similarity of "
        "the classes' mean features on one scale. Press a point or a cell to see its image under "
        "every network.",
    )
    plane = plot_box(
        "t-SNE map of the test images, one panel a network", 796, elem_id="plane", marks="points"
    )
    thumb = gr.HTML(
        "",
        js_on_load=THUMB,
        elem_id="thumb",
        apply_default_css=False,
    )
    similarity = plot_box(
        "Class similarity matrices, one a network", 858, elem_id="similarity", marks="cells"
    )
    representation = framed("", "representation")
    return _Parts(
        *(study, seed, width, top_notice, link_notice, table, bars, slices, box, linked),
        *(plane, thumb, similarity, representation),
        # Turns are counted to show another image of the same study.
        *(gr.State(0), gr.State(Arrival())),
    )


def _wire_study(parts: _Parts, views: CompareViews, linked: LinkedViews) -> None:
    box, filters = parts.box, parts.box.filters

    # A study that cannot be opened must not stand above the figures of the one before it.
    @light
    @shows_errors(KEPT, "", "", "")
    def overview(study: str | None, seed: int | Arrival | None) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, gr.skip(), EMPTY, "", ""]
        if isinstance(seed, Arrival):
            seed = _seed_of(views, study, seed.look(study))
        found = views.overview(study, seed)
        seeds = gr.update(
            choices=[(f"{number}", number) for number in found.seeds],
            value=found.seed,
            visible=len(found.seeds) > 1,
        )
        slices = gr.update(value=found.slices, visible=found.slices is not None)
        return [HIDDEN_NOTICE, seeds, found.table, found.bars, slices]

    @light
    @shows_errors(*[KEPT] * (len(box.settled) + len(filters.settled) + len(parts.linked.settled)))
    def arrive(study: str | None, seed: int | None, arrival: Arrival, picked: Picked) -> list[Any]:
        settled = len(box.settled) + len(filters.settled) + len(parts.linked.settled)
        if study is None:
            return [HIDDEN_NOTICE, *[gr.skip()] * settled]
        view = arrival.take(study)
        comparison, names = views.facts(study, seed)
        networks = linked.networks(study, seed)
        # They take a moment, and come later where the view does not need them.
        divided = linked.parts(study, seed) if view.part else []
        cut, roles = [value for _, value in divided], [role for _, role in networks]
        facts = Facts(comparison.seeds, len(comparison.labels), len(names), roles, cut)
        view, unfit = fitting(view, facts)
        if view.images:
            picked.put(study, *(("test", index) for index in view.images))
        wrong = complaint([*arrival.problems, *unfit])
        return [
            notice(wrong) if wrong else HIDDEN_NOTICE,
            *box.settle(view, names),
            *filters.settle(view, networks, divided, names),
            *parts.linked.settle(networks),
        ]

    @light
    def folded(study: str | None, seed: int | None) -> list[Any]:
        if study is None:
            return [gr.skip()] * len(parts.linked.settled)
        return parts.linked.settle(linked.networks(study, seed))

    head = [parts.notice, parts.seed, parts.table, parts.bars, parts.slices]
    settled = [parts.link_notice, *box.settled, *filters.settled, *parts.linked.settled]
    # Another study starts with its own first seed, or with that of the link that leads to it.
    opened = parts.study.change(overview, [parts.study, parts.arrival], head, **QUIET)
    here = [parts.study, parts.seed]
    arrived = opened.then(arrive, [*here, parts.arrival, box.picked], settled, **HIDDEN)
    of_seed = parts.seed.input(overview, here, head, **QUIET)
    folds = of_seed.then(folded, here, parts.linked.settled, **HIDDEN)
    _wire_gallery(parts, views, linked, (arrived, folds))
    _wire_space(parts, views)


def _wire_gallery(
    parts: _Parts, views: CompareViews, linked: LinkedViews, settled: Iterable[Any]
) -> None:
    """What fills the gallery and the rows: a study or seed that has settled, turns, pickers."""
    box, filters = parts.box, parts.box.filters
    here = [parts.study, parts.seed]
    fill = gallery_handler(views, linked)
    wanted = [*here, box.picked, *filters.chosen]
    found = [box.notice, filters.shows_errors, box.gallery]
    rows = [rows_handler(views), [*here, box.picked, *box.asked], box.shown]
    for event in settled:
        shown = event.then(fill, wanted, found, **QUIET).then(*rows, **QUIET)
        late = [box.layer, filters.part]
        remember(box, shown).then(late_choices(views, linked), here, late, **HIDDEN)
    remember(box, parts.turns.change(fill, wanted, found, **QUIET).then(*rows, **QUIET))
    for picker in filters.chosen:
        remember(box, picker.input(fill, wanted, found, **QUIET))
    pressed = filters.presets.click(preset_handler(linked), here, filters.chosen, **QUIET)
    remember(box, pressed.then(fill, wanted, found, **QUIET))


def _wire_space(parts: _Parts, views: CompareViews) -> None:
    @light
    @shows_errors("", "")
    def space(study: str | None, seed: int | Arrival | None, width: float) -> list[Any]:
        if study is None:
            return [HIDDEN_NOTICE, "", ""]
        if isinstance(seed, Arrival):
            seed = _seed_of(views, study, seed.look(study))
        columns = panel_columns(width)
        plane = views.plane(study, seed, columns)
        return [HIDDEN_NOTICE, plane, views.similarity(study, seed, columns)]

    @shows_errors("")
    def features(study: str | None, seed: int | None) -> list[Any]:
        return [HIDDEN_NOTICE, views.representation(study, seed) if study else ""]

    figures = [parts.notice, parts.plane, parts.similarity]
    for event, seed in ((parts.study.change, parts.arrival), (parts.seed.input, parts.seed)):
        event(space, [parts.study, seed, parts.width], figures, js=WITH_WIDTH, **QUIET).then(
            features, [parts.study, parts.seed], [parts.notice, parts.representation], **QUIET
        )


def _seed_of(views: CompareViews, study: str, view: LinkState) -> int | None:
    """The seed that a link asks for, where the study has it."""
    if view.seed is None:
        return None
    comparison, _ = views.facts(study, None)
    return view.seed if view.seed in comparison.seeds else None
