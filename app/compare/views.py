"""The Compare tab's tables, figures and images, from ids and numbers. No page here.

Ids, indices and names may come from a browser and are checked here; wrong ones raise ``UserError``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from app.background import ERRORS
from app.catalogue.sources import FIELD_GUIDE
from app.compare.selection import ImageRef, ImageRefs
from app.comparisons.cache import Comparisons, OpenComparison, class_groups
from app.comparisons.heatmap_row import Picture, gallery_html, row_html
from app.comparisons.unlike import unlike_html
from app.config import AppConfig
from app.server.loader import engine
from app.studies.entries import finished_studies, open_study
from app.ui.notice import hint
from app.ui.photo_uploads import read_photo
from app.ui.plot import figure_json
from app.ui.tables import comparison_table, representation_table, table_html
from app.ui.wording import listed, p_value, points, seed_words
from dait.config.arms import arm_title
from dait.errors import UserError
from dait.evidence import figures
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Question

GALLERY_IMAGES = 32
TSNE_IMAGES = 500
"""Test images in a t-SNE map."""
QUICKLY_READ_BYTES = 16 * 2**20
SHOWN_PIXELS = 448
"""Side of an uploaded photograph as it is shown; the networks see a smaller copy."""

AUTOMATIC = "auto"
METHODS: dict[str, str] = {
    AUTOMATIC: "Default of each network",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM (class-agnostic)",
    "finercam": "FinerCAM (against similar classes)",
}
PREDICTED = -1
LONGEST_LAYER = 200
SLICES = ("background", "habitat")
"""Slices by their names in ``result.json``, the one to show first."""


@dataclass(frozen=True)
class Overview:
    """The head of a comparison: its figures as HTML and JSON, and its seeds and classes.

    of_seeds, of_seed: which seeds and images the figures over all seeds, and those of one, show.
    """

    table: str
    bars: str
    slices: str | None
    of_seeds: str
    of_seed: str
    tests: str
    seeds: tuple[int, ...]
    seed: int
    classes: tuple[str, ...]


class CompareViews:
    """The views of the finished studies of one app."""

    def __init__(self, config: AppConfig) -> None:
        self.config = config
        self.comparisons = Comparisons(config)

    def of_first(self, shown: Callable[[OpenComparison], str]) -> str:
        """``shown`` of the default study, which is part of the page from the start.

        Empty if there is none, or if reading it would delay the start. A damaged study's error is
        shown when it is opened.
        """
        entry = next(iter(finished_studies(self.config)), None)
        if entry is None:
            return ""
        with ERRORS.noted(f"Opening {entry.id}"):  # nothing in a study keeps the app from starting
            folder = open_study(self.config, entry.id).path
            files = [folder / "teacher.npz", *folder.glob("*/predictions.npz")]
            if sum(file.stat().st_size for file in files if file.is_file()) <= QUICKLY_READ_BYTES:
                return shown(self.comparisons.get(entry.id))
        return ""

    def first_table(self) -> str:
        """The default study's table."""
        return self.of_first(lambda opened: _table(opened.comparison))

    def overview(self, study_id: object, seed: int | None) -> Overview:
        """Table, accuracy bars and, where the results have them, accuracy by slice."""
        comparison = self.comparisons.get(study_id, seed).comparison
        results = comparison.results()
        return Overview(
            table=_table(comparison),
            bars=accuracy_figure(comparison.table(), results),
            slices=slices_figure(results),
            of_seeds=_of_seeds(comparison),
            of_seed=_of_seed(comparison),
            tests=_tests_table(comparison),
            seeds=tuple(comparison.seeds),
            seed=comparison.seed,
            classes=tuple(info.name for info in comparison.classes),
        )

    def gallery(
        self, study_id: object, seed: int | None, selected: ImageRefs = ()
    ) -> tuple[str, int]:
        """Sample images as HTML, and the index of the one that is selected by default."""
        opened = self.comparisons.get(study_id, seed)
        comparison = opened.comparison
        if comparison.recipe.data.source != FIELD_GUIDE:
            engine()  # some readers of photographs import it
        first = comparison.example()
        images = [
            (index, image, comparison.classes[label].name)
            for index, image, label in opened.samples(GALLERY_IMAGES)
        ]
        if first not in [index for index, *_ in images]:
            name = comparison.classes[comparison.labels[first]].name
            # It stands for a sample of its class.
            place = next((at for at, (*_, own) in enumerate(images) if own == name), 0)
            images[place] = (first, opened.image(first), name)
        pressed = {value for kind, value in selected or (("test", first),) if kind == "test"}
        return gallery_html(images, pressed), first

    def rows(self, study_id: object, seed: int | None, images: ImageRefs, *query: object) -> str:
        """The rows of heatmaps of these images.

        query: the method, the layer's name (empty: each network's default), the class and a
        sentence for networks that read text; what is left out has its default.
        """
        opened = self.comparisons.get(study_id, seed)
        classes = opened.comparison.classes
        question = _question(len(classes), *query)
        rows = []
        for position, image in enumerate(images):
            picture = _picture(opened, image)
            found = opened.row(picture.seen, question)
            removable = position if len(images) > 1 else None
            unlike = "" if picture.index is not None else _unlike(opened, picture)
            rows.append(row_html(picture, found, classes, removable, unlike))
        return "".join(rows)

    def facts(self, study_id: object, seed: int | None) -> tuple[Comparison, list[str]]:
        """The comparison of a study, and the names of its classes."""
        comparison = self.comparisons.get(study_id, seed).comparison
        return comparison, [info.name for info in comparison.classes]

    def layers(self, study_id: object, seed: int | None) -> list[tuple[str, str]]:
        """(label, name) of every layer that has heatmaps, the outer ones first."""
        return self.comparisons.get(study_id, seed).once(_layers)

    def plane(self, study_id: object, seed: int | None, columns: int) -> str:
        """t-SNE panels as a figure's JSON, ``columns`` of them side by side."""
        return self.comparisons.get(study_id, seed).once(_plane, columns)

    def similarity(self, study_id: object, seed: int | None, columns: int) -> str:
        """Class-similarity matrices as a figure's JSON."""
        return self.comparisons.get(study_id, seed).once(_similarity, columns)

    def representation(self, study_id: object, seed: int | None) -> str:
        """The table of figures about the features."""
        return self.comparisons.get(study_id, seed).once(_representation)

    def check(self, study_id: object, image: ImageRef) -> None:
        """Raise ``UserError`` unless the study exists and has this image."""
        _picture(self.comparisons.get(study_id), image)


def accuracy_figure(table: list[dict[str, Any]], results: list[dict[str, Any]]) -> str:
    """Bars of the students and their teachers, the frozen teacher as a line."""
    teachers = figures.teacher_rows(results)
    roles = [row["role"] for row in table]
    # Seeds may have different arms: those that this seed lacks come last.
    places = {role: place for place, role in enumerate(roles)}
    students = sorted(results, key=lambda result: places.get(result["arm"], len(places)))
    zero_shot = next((row["top1"] for row in table if row["role"] == "vlm"), None)
    references = {} if zero_shot is None else {"frozen teacher": zero_shot}
    return figure_json(figures.accuracy_bars(teachers + students, references))


def slices_figure(results: list[dict[str, Any]]) -> str | None:
    """Accuracy by slice of the test split, means over the seeds; None without slices."""
    name = next((s for s in SLICES if any(s in (r.get("slices") or {}) for r in results)), None)
    if name is None:
        return None
    tables: dict[str, dict[str, list[float]]] = {}
    for result in results:
        for value, top1 in ((result.get("slices") or {}).get(name) or {}).items():
            tables.setdefault(result["arm"], {}).setdefault(value, []).append(top1)
    means = {
        arm: {value: mean(tops) for value, tops in table.items()} for arm, table in tables.items()
    }
    return figure_json(figures.slices_bars(means, name))


def _picture(opened: OpenComparison, ref: ImageRef) -> Picture:
    comparison = opened.comparison
    kind, value = ref
    if kind == "upload":
        shown = read_photo(value, comparison.framing.at(SHOWN_PIXELS))
        seen = read_photo(value, comparison.framing)
        return Picture(seen, shown, None, "Your photograph")
    if not isinstance(value, int):
        raise UserError("Choose one of the sample images, or upload a photograph.")
    image, label = comparison.test_image(value)
    return Picture(image, image, label, f"Test image {value}", value)


def _unlike(opened: OpenComparison, picture: Picture) -> str:
    (answers,) = opened.answers([picture.seen])
    return unlike_html([answer.unlike for answer in answers.values()], opened.comparison)


def _question(
    classes: int,
    method: object = AUTOMATIC,
    layer: object = "",
    target: object = PREDICTED,
    sentence: object = "",
) -> Question:
    if layer and (not isinstance(layer, str) or len(layer) > LONGEST_LAYER):
        raise UserError("There is no such layer; choose one from the list.")
    said = engine().check_query(sentence) if str(sentence or "").strip() else ""
    return Question(_method(method), _target(target, classes), said, str(layer or "") or None)


def _method(value: object) -> str | None:
    if value not in METHODS:
        raise UserError(f"There is no such heatmap method; choose {listed(list(METHODS))}.")
    return None if value == AUTOMATIC else str(value)


def _target(value: object, classes: int) -> int | None:
    if value == PREDICTED or value is None:
        return None
    if not isinstance(value, int) or not 0 <= value < classes:
        raise UserError("There is no such class here; choose one from the list.")
    return value


def _roles(comparison: Comparison) -> dict[str, str]:
    return {member.key: member.role for member in comparison.members}


def _table(comparison: Comparison) -> str:
    return comparison_table(comparison.table(), _caption(comparison, comparison.results()))


def _layers(comparison: Comparison) -> list[tuple[str, str]]:
    known = comparison.layers()
    names = dict.fromkeys(name for own in known.values() for name in own)
    titles = {member.key: member.title for member in comparison.members}
    found = []
    for name in sorted(names, key=lambda name: name.count(".")):
        having = [titles[key] for key, own in known.items() if name in own]
        whose = "" if len(having) == len(known) else f" ({listed(having)})"
        found.append((f"{name}{whose}", name))
    return found


def _plane(comparison: Comparison, columns: int) -> str:
    if not comparison.is_placed():
        engine()
    placed, roles = comparison.tsne(), _roles(comparison)
    figure = figures.tsne_panels(
        {roles[key]: xy for key, xy in placed.coordinates.items() if key in roles},
        placed.labels,
        [info.name for info in comparison.classes],
        class_groups(comparison),
        [comparison.ids[index] for index in placed.indices],
        columns=columns,
        indices=placed.indices.tolist(),
    )
    return figure_json(figure)


def _similarity(comparison: Comparison, columns: int) -> str:
    roles = _roles(comparison)
    figure = figures.similarity_panels(
        {roles[key]: matrix for key, matrix in comparison.similarity().items() if key in roles},
        [info.name for info in comparison.classes],
        class_groups(comparison),
        columns=columns,
    )
    return figure_json(figure)


def _representation(comparison: Comparison) -> str:
    caption = (
        "Features on the test images: mean cosine within and across classes and their gap; "
        "k-NN accuracy (k = 5); silhouette; similarity to the teachers' features (linear CKA)."
    )
    return representation_table(comparison.representation(), caption)


def _of_seeds(comparison: Comparison) -> str:
    finding = comparison.finding()
    means = "Means over" if len(finding.seeds) > 1 else "Of"
    return hint(f"{means} {seed_words(finding.seeds)}, all {finding.images:,} test images.")


def _of_seed(comparison: Comparison) -> str:
    images = len(comparison.labels)
    drawn = f" The t-SNE maps show {TSNE_IMAGES} of them." if images > TSNE_IMAGES else ""
    return hint(
        f"Everything from here on is of the networks of seed {comparison.seed} and of all "
        f"{images:,} test images.{drawn}"
    )


def _tests_table(comparison: Comparison) -> str:
    """McNemar's tests of the compared arm, seed by seed; empty where there is none."""
    finding = comparison.finding()
    if not finding.tests:
        return hint("No arms are compared here, or no predictions of single images are kept.")
    ours = arm_title(finding.arm)
    body = [
        (
            f"{ours} against {arm_title(test.base)}",
            [
                (f"{test.seed}", ""),
                (points(test.gain), ""),
                (p_value(test.p), ""),
                (p_value(test.corrected), ""),
            ],
        )
        for test in finding.tests
    ]
    caption = (
        f"McNemar’s exact test on the {finding.images:,} test images, seed by seed; corrected: "
        "after Holm for the tests of this table. It says whether two networks differ, not whether "
        "two trainings would again."
    )
    return table_html(caption, "Pair", ("Seed", "Difference, points", "p", "Corrected"), body)


def _caption(comparison: Comparison, results: list[dict[str, Any]]) -> str:
    images = results[0].get("n_test") if results else None
    tested = f"{images:,} test images" if images else "the test images"
    seeds = len({result["seed"] for result in results})
    trained = f"seed {comparison.seed}"
    if seeds > 1:
        trained = f"means of {seeds} seeds; intervals are of seed {comparison.seed}"
    data = comparison.study.description().get("data") or {}
    left_out = data.get("problems") or []
    unread = f" {len(left_out)} files could not be read and were left out." if left_out else ""
    return (
        f"Measured once on {tested}, {len(comparison.classes)} classes, {trained}. Under the "
        "top-1: 95 % interval over images, or the spread over seeds. Gain in percentage points; p: "
        "McNemar against direct distillation, the largest of the seeds named, after Holm for the "
        "tests of this table."
        f"{unread}"
    )
