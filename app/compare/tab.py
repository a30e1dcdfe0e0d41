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
from app.compare.opening import layout_opening, wire_opening
from app.compare.row_box import (
    CHOOSE,
    HIDDEN,
    WAITING,
    WITH_DATA,
    RowBox,
    late_choices,
    layout_row,
    rows_handler,
    update_link,
    wire_row,
)
from app.compare.save_figure import build_save_figure
from app.compare.selection import ImageRef, Selection
from app.compare.several import build_several
from app.compare.view_link import (
    LinkState,
    RequestedView,
    StudyFacts,
    link_problems,
    read_view,
    restrict,
)
from app.compare.views import CompareViews
from app.comparisons.report_sections import ReportSections
from app.comparisons.study_choice import StudyChoice
from app.comparisons.study_list import study_choices, study_list
from app.export.box import build_export_box
from app.export.bundles import Bundles
from app.export.deployment import build_deployment_fold
from app.export.push_box import Pushes
from app.server.loader import light
from app.ui.notice import Update, empty, framed, notice, notice_box, section, shows_errors
from app.ui.plot import WIDE, panel_columns, plot_box

EMPTY = empty(
    "No finished study yet. Train one in the Train tab: it appears here as soon as it has finished."
)
WITH_WIDTH = "(study, seed, _) => [study, seed, window.innerWidth]"
THUMBNAIL = "watch('value', () => window.daitLinks.pictureCame(props.value));"


@dataclass(frozen=True)
class CompareTab:
    """The tab's components, and how other tabs show something in it."""

    views: CompareViews
    study: gr.Dropdown
    seed: gr.Dropdown
    width: gr.Number
    notice: gr.HTML
    link_notice: gr.HTML
    opening: gr.HTML
    table: gr.HTML
    tests: gr.HTML
    of_seeds: gr.HTML
    of_seed: gr.HTML
    bars: gr.HTML
    slices: gr.HTML
    box: RowBox
    linked: LinkedFigures
    tsne: gr.HTML
    thumbnail: gr.HTML
    similarity: gr.HTML
    representation: gr.HTML
    reloads: gr.State
    """Counted up to show another image of the study that is shown already."""
    requested: gr.State

    @property
    def show_inputs(self) -> list[Any]:
        """The inputs of ``show``."""
        return [self.study, self.box.selection, self.reloads]

    @property
    def show_outputs(self) -> list[Any]:
        """What ``show`` changes."""
        return [self.study, self.reloads, self.box.row]

    def show(
        self, study: object, index: object, current: str | None, selection: Selection, reloads: int
    ) -> Update:
        """Show the row of heatmaps of a study's test image.

        Raises ``UserError`` for an unknown study or image.
        """
        image: ImageRef = ("test", index)
        self.views.check(study, image)
        selection.set(str(study), image)
        if study == current:
            return {self.reloads: reloads + 1, self.box.row: WAITING}
        return {self.study: study_list(self.views.config, str(study)), self.box.row: WAITING}

    @light
    def list_for_link(self, request: gr.Request, requested: RequestedView) -> Any:
        """The list of studies for a page that is opened, with the link's study or the first."""
        view, problems = read_view(dict(request.query_params))
        ids = [study_id for _, study_id in study_choices(self.views.config)]
        if view.study and view.study not in ids:
            problems = [*problems, f"study “{view.study}”"]
            view = LinkState(ids[0] if ids else "")
        elif ids and not view.study:
            view = replace(view, study=ids[0])
        requested.set(view, problems)
        return study_list(self.views.config, view.study or None)

    @light
    def refresh_list(self, current: str | None, requested: RequestedView) -> Any:
        """The current list of studies; the selection is kept while it is there.

        On a page whose link has not been read yet, the link decides what is shown.
        """
        if current:
            return study_list(self.views.config, current)
        if requested.study is None:
            return gr.skip()
        return study_list(self.views.config, requested.study)


def build_compare_tab(
    views: CompareViews, bundles: Bundles, choice: StudyChoice, sections: ReportSections
) -> CompareTab:
    """Lay the tab out inside the current ``gr.Tab`` and wire it."""
    linked = LinkedViews(views.comparisons)
    tab = _layout(views, bundles, choice)
    build_several(choice, sections)
    build_save_figure(views, linked, tab.box, tab.linked)
    pushes = Pushes(views.config, bundles) if views.config.paths else None
    build_export_box(bundles, tab.study, "export", pushes)
    _wire_look_closer(tab)
    _wire_study(tab, views, linked)
    wire_row(tab.box, views)
    wire_linked_figures(tab.linked, tab.box, linked)
    wire_marks(tab.linked, tab.box, tab.tsne, tab.similarity, views, linked)
    wire_thumbnails(tab.tsne, tab.thumbnail, tab.box, linked)
    return tab


def _layout(views: CompareViews, bundles: Bundles, choice: StudyChoice) -> CompareTab:
    study, seed = choice.study, choice.seed
    width = gr.Number(WIDE, visible=False)
    link_notice = notice_box("link-notice")
    top_notice = notice_box("compare-notice")
    opening = layout_opening(views)
    section(
        "Accuracy and cost",
        "Every student was trained on the same images, with the same seeds and schedule. DAIT "
        "trains its intermediate teacher as well.",
    )
    table = framed(views.first_table() or WAITING, "table")
    with gr.Accordion("p values, seed by seed", open=False, elem_id="fold-tests"):
        tests = gr.HTML("", elem_id="tests", apply_default_css=False)
    build_deployment_fold(bundles, study, "deployment")
    of_seeds = gr.HTML("", elem_id="of-seeds", apply_default_css=False)
    with gr.Row():
        with gr.Column(min_width=320):
            bars = plot_box("Test accuracy of every network", 380, elem_id="bars")
        with gr.Column(min_width=320):
            slices = plot_box("Accuracy on familiar and unfamiliar backgrounds", 380)
    of_seed = gr.HTML("", elem_id="of-seed", apply_default_css=False)
    box = layout_row(study, seed)
    linked = layout_linked_figures()
    section(
        "How the classes are arranged",
        "The same test images through every network: t-SNE of the features, then the cosine "
        "similarity of the classes' mean features on one scale. Press a point or a cell to see its "
        "image under every network.",
    )
    tsne = plot_box(
        "t-SNE map of the test images, one panel per network", 796, elem_id="plane", marks="points"
    )
    thumbnail = gr.HTML("", js_on_load=THUMBNAIL, elem_id="thumb", apply_default_css=False)
    similarity = plot_box(
        "Class similarity matrices, one per network", 858, elem_id="similarity", marks="cells"
    )
    representation = framed("", "representation")
    return CompareTab(
        views=views,
        study=study,
        seed=seed,
        width=width,
        notice=top_notice,
        link_notice=link_notice,
        opening=opening,
        table=table,
        tests=tests,
        of_seeds=of_seeds,
        of_seed=of_seed,
        bars=bars,
        slices=slices,
        box=box,
        linked=linked,
        tsne=tsne,
        thumbnail=thumbnail,
        similarity=similarity,
        representation=representation,
        reloads=gr.State(0),
        requested=gr.State(RequestedView()),
    )


def _wire_study(tab: CompareTab, views: CompareViews, linked: LinkedViews) -> None:
    box, filters = tab.box, tab.box.filters

    of = [tab.tests, tab.of_seeds, tab.of_seed]
    emptied: Update = dict.fromkeys([tab.table, *of, tab.bars, tab.slices], "")

    # A study that cannot be opened must not leave the figures of the previous one below its name.
    @light
    @shows_errors(tab.notice, emptied)
    def overview(study: str | None, seed: int | RequestedView | None) -> Update:
        if study is None:
            return emptied | {tab.table: EMPTY}
        if isinstance(seed, RequestedView):
            seed = _seed_of(views, study, seed.get(study))
        found = views.overview(study, seed)
        return {
            tab.seed: gr.update(
                choices=[(f"Seed {number}", number) for number in found.seeds],
                value=found.seed,
                visible=len(found.seeds) > 1,
            ),
            tab.table: found.table,
            tab.tests: found.tests,
            tab.of_seeds: found.of_seeds,
            tab.of_seed: found.of_seed,
            tab.bars: found.bars,
            tab.slices: gr.update(value=found.slices, visible=found.slices is not None),
        }

    @light
    @shows_errors(tab.link_notice)
    def apply_link(
        study: str | None, seed: int | None, requested: RequestedView, selection: Selection
    ) -> Update:
        if study is None:
            return {}
        view = requested.take(study)
        comparison, names = views.facts(study, seed)
        networks = linked.networks(study, seed)
        # Listing the parts takes a moment; without a part in the link they come later.
        parts = linked.parts(study, seed) if view.part else []
        facts = StudyFacts(
            seeds=comparison.seeds,
            images=len(comparison.labels),
            classes=len(names),
            roles=[role for _, role in networks],
            parts=[value for _, value in parts],
        )
        view, unknown = restrict(view, facts)
        if view.images:
            selection.set(study, *(("test", index) for index in view.images))
        changes = box.reset(view, names) | filters.reset(view, networks, parts, names)
        problems = link_problems([*requested.problems, *unknown])
        if problems:
            changes[tab.link_notice] = notice(problems)
        return changes | tab.linked.reset(networks)

    @light
    def fold_figures(study: str | None, seed: int | None) -> Update:
        if study is None:
            return {tab.linked.pairs_of: gr.skip()}  # Gradio takes no empty dict
        return tab.linked.reset(linked.networks(study, seed))

    head = [tab.notice, tab.seed, tab.table, *of, tab.bars, tab.slices]
    reset = [
        tab.link_notice,
        *box.reset_outputs,
        *filters.reset_outputs,
        *tab.linked.reset_outputs,
    ]
    # Another study starts with its first seed, or with that of the link.
    opened = tab.study.change(overview, [tab.study, tab.requested], head, **CHOOSE)
    inputs = [tab.study, tab.seed]
    linked_to = opened.then(apply_link, [*inputs, tab.requested, box.selection], reset, **HIDDEN)
    of_seed = tab.seed.input(overview, inputs, head, **CHOOSE)
    folded = of_seed.then(fold_figures, inputs, tab.linked.reset_outputs, **HIDDEN)
    wire_opening(tab.opening, views, tab.study, tab.seed, (opened.then, of_seed.then))
    _wire_gallery(tab, views, linked, (linked_to, folded))
    _wire_features(tab, views)


def _wire_look_closer(tab: CompareTab) -> None:
    """The opening's image becomes that of the rows below."""

    @shows_errors(tab.box.notice)
    def look(study: str, selection: Selection, reloads: int, event: gr.EventData) -> Update:
        return tab.show(study, getattr(event, "index", None), study, selection, reloads)

    outputs = [tab.box.notice, *tab.show_outputs]
    js = "() => document.querySelector('#row').scrollIntoView({ block: 'center' })"
    tab.opening.select(look, tab.show_inputs, outputs, **WITH_DATA).then(
        None, js=js, api_visibility="private"
    )


def _wire_gallery(
    tab: CompareTab, views: CompareViews, linked: LinkedViews, opened: Iterable[Any]
) -> None:
    """Fill the gallery and the rows after ``opened``, a reload, or a change of the filters."""
    box, filters = tab.box, tab.box.filters
    inputs = [tab.study, tab.seed]
    fill: dict[str, Any] = {
        "fn": gallery_handler(views, linked, filters, box.gallery, box.notice),
        "inputs": [*inputs, box.selection, *filters.conditions],
        "outputs": [box.notice, filters.found, box.gallery],
        **CHOOSE,
    }
    rows: dict[str, Any] = {
        "fn": rows_handler(views, box),
        "inputs": [*inputs, box.selection, *box.controls.query],
        "outputs": box.outputs,
        **CHOOSE,
    }
    late = [box.controls.layer, filters.part]
    for event in opened:
        shown = event.then(**fill).then(**rows)
        update_link(box, shown).then(late_choices(views, linked, box), inputs, late, **HIDDEN)
    update_link(box, tab.reloads.change(**fill).then(**rows))
    # Whatever chooses images moves the row, so that it never shows what was filtered out.
    moving = {**fill, "inputs": [*fill["inputs"], box.keep]}
    for condition in filters.conditions:
        update_link(box, condition.input(**moving).then(**rows))
    preset = preset_handler(linked, filters)
    pressed = filters.presets.click(preset, inputs, filters.conditions, **WITH_DATA)
    update_link(box, pressed.then(**moving).then(**rows))


def _wire_features(tab: CompareTab, views: CompareViews) -> None:
    @light
    @shows_errors(tab.notice, {tab.tsne: "", tab.similarity: ""})
    def features(study: str | None, seed: int | RequestedView | None, width: float) -> Update:
        if study is None:
            return {tab.tsne: "", tab.similarity: ""}
        if isinstance(seed, RequestedView):
            seed = _seed_of(views, study, seed.get(study))
        columns = panel_columns(width)
        return {
            tab.tsne: views.plane(study, seed, columns),
            tab.similarity: views.similarity(study, seed, columns),
        }

    @shows_errors(tab.notice, {tab.representation: ""})
    def representation(study: str | None, seed: int | None) -> Update:
        return {tab.representation: views.representation(study, seed) if study else ""}

    figures = [tab.notice, tab.tsne, tab.similarity]
    for event, seed in ((tab.study.change, tab.requested), (tab.seed.input, tab.seed)):
        event(features, [tab.study, seed, tab.width], figures, js=WITH_WIDTH, **CHOOSE).then(
            representation, [tab.study, tab.seed], [tab.notice, tab.representation], **CHOOSE
        )


def _seed_of(views: CompareViews, study: str, view: LinkState) -> int | None:
    """The link's seed, if the study has it."""
    if view.seed is None:
        return None
    comparison, _ = views.facts(study, None)
    return view.seed if view.seed in comparison.seeds else None
