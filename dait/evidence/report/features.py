"""What the networks make of the images: t-SNE maps, similarities, figures of the features."""

from __future__ import annotations

from functools import partial

import numpy as np

from dait.errors import UserError
from dait.evaluation.features.similarity import sample_similarity, stratified_sample
from dait.evaluation.records import read_seed, read_study
from dait.evidence import figures
from dait.evidence.comparison import Comparison
from dait.evidence.report.inputs import ReportInputs, groups_of
from dait.evidence.report.section import Cell, Section
from dait.evidence.wording import listed, percent, plain

SAMPLES = 60
"""Images whose similarities are drawn one by one: more are too small to point at."""

_COLUMNS = {
    "intra": "Within classes",
    "inter": "Across",
    "gap": "Gap",
    "knn": "k-NN",
    "silhouette": "Silhouette",
    "cka_vlm": "CKA with frozen teacher",
    "cka_intermediate": "CKA with intermediate",
}


def write(inputs: ReportInputs) -> Section:
    """The features of every study's networks."""
    section = Section("features", "What the networks make of the images")
    if not inputs.studies:
        section.missing("Maps of features are shown of whole studies, and none was given.")
    for part in inputs.studies:
        if len(inputs.studies) > 1:
            section.heading(part.title)
        _table(section, part.comparison)
        _plane(section, part.comparison)
        _classes(section, part.comparison)
        _samples(section, part.comparison)
    return section


def _table(section: Section, comparison: Comparison) -> None:
    rows = comparison.representation()
    body: list[list[Cell]] = [
        [
            row["title"],
            *[percent(row[key]) if key == "knn" else plain(row[key]) for key in _COLUMNS],
        ]
        for row in rows
    ]
    section.table(
        f"Features on all {len(comparison.labels):,} test images, seed {comparison.seed}: mean "
        "cosine of pairs within and across classes and the gap between them; k-NN accuracy (k = 5, "
        "leave one out); silhouette by cosine distance; linear CKA with the teachers' features, "
        "which is biased upwards where images are few.",
        ["Network", *_COLUMNS.values()],
        body,
        [row["role"] for row in rows],
    )


def _plane(section: Section, comparison: Comparison) -> None:
    try:
        placed = comparison.tsne()
    except UserError as error:
        section.missing(f"No t-SNE maps: {error}")
        return
    roles = _roles(comparison)
    section.panels(
        partial(
            figures.tsne_panels,
            {roles[key]: xy for key, xy in placed.coordinates.items()},
            placed.labels,
            [info.name for info in comparison.classes],
            groups_of(comparison.classes),
            [comparison.ids[index] for index in placed.indices],
        ),
        f"t-SNE maps of {len(placed.indices):,} test images by {_titles(comparison)}.",
        f"t-SNE of the features of {len(placed.indices):,} test images under the networks of seed "
        f"{comparison.seed}: the same images in every panel, one perplexity. Points that lie "
        "together are neighbours in the features; distances between clusters, their sizes and the "
        "axes mean nothing.",
    )


def _classes(section: Section, comparison: Comparison) -> None:
    roles = _roles(comparison)
    section.panels(
        partial(
            figures.similarity_panels,
            {roles[key]: matrix for key, matrix in comparison.similarity().items()},
            [info.name for info in comparison.classes],
            groups_of(comparison.classes),
        ),
        f"Class-similarity matrices of {_titles(comparison)} on one colour scale.",
        f"Cosine between the classes' mean features on all {len(comparison.labels):,} test images, "
        f"seed {comparison.seed}, one order and one colour scale. Squares along "
        "the diagonal are groups whose classes look alike to the network. Networks differ in how "
        "far apart they put everything: compare patterns, not single values.",
    )


def _samples(section: Section, comparison: Comparison) -> None:
    seed = read_seed(read_study(comparison.study), comparison.seed)
    groups = groups_of(comparison.classes)
    indices = stratified_sample(seed.labels, SAMPLES)
    labels = seed.labels[indices]
    # By class here; the figure puts the classes of a group together.
    indices = indices[np.argsort(labels, kind="stable")]
    names = [
        f"{comparison.classes[label].name}, image {index}"
        for index, label in zip(indices, seed.labels[indices], strict=True)
    ]
    roles = _roles(comparison)
    own = None if groups is None else [groups[label] for label in seed.labels[indices]]
    section.panels(
        partial(
            figures.similarity_panels,
            {roles[key]: sample_similarity(seed.features[key][indices]) for key in roles},
            names,
            own,
        ),
        f"Similarity matrices of {len(indices)} test images by {_titles(comparison)}.",
        f"Cosine between the features of {len(indices)} single test images, networks of seed "
        f"{comparison.seed}, stratified by class with a fixed seed and sorted by group "
        "and class, on one scale. Hover names the images.",
    )


def _roles(comparison: Comparison) -> dict[str, str]:
    return {member.key: member.role for member in comparison.members}


def _titles(comparison: Comparison) -> str:
    return listed([member.title for member in comparison.members])
