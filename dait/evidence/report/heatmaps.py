"""The same test images through every network of a study, chosen by a fixed rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dait.config.arms import arm_title
from dait.errors import UserError
from dait.evaluation.records import read_seed, read_study
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Explanation
from dait.evidence.heatmaps.overlay import overlay
from dait.evidence.report.inputs import FOCUS, ReportInputs, StudyPart
from dait.evidence.report.section import Picture, Section
from dait.evidence.wording import percent

DIRECT = "direct"


def write(inputs: ReportInputs) -> Section:
    """Rows of heatmaps of every study."""
    section = Section("heatmaps", "Where the networks look: examples")
    if not inputs.studies:
        section.missing("Heatmaps of test images are shown of whole studies, and none was given.")
        return section
    section.paragraph(
        "The same images through every network. Colours go from none over purple to yellow for "
        "what counts for the image's true class, scaled to each map's own maximum: maps tell "
        "where, not how much. Examples prove nothing; the figures of the next section, over many "
        "images, might."
    )
    for part in inputs.studies:
        if len(inputs.studies) > 1:
            section.heading(part.title)
        _of_study(section, part, inputs.images)
    return section


def chosen(comparison: Comparison, right: dict[str, np.ndarray], count: int) -> dict[str, list]:
    """At most ``count`` test images by the rule under which each was chosen.

    right: an arm to which of the N images it has right. Half of the images are spread over the
    classes; the others, as many of each kind, are those that DAIT alone and that direct alone has
    right, in turn over the classes. Where one of these arms is missing all are spread out.
    """
    if FOCUS not in right or DIRECT not in right:
        return {"spread over the classes": comparison.gallery(count)}
    each = count // 4
    ours, theirs = right[FOCUS], right[DIRECT]
    names = {arm: arm_title(arm) for arm in (FOCUS, DIRECT)}
    kinds = {
        f"{names[FOCUS]} right, {names[DIRECT]} wrong": ours & ~theirs,
        f"{names[DIRECT]} right, {names[FOCUS]} wrong": theirs & ~ours,
    }
    found = {"spread over the classes": comparison.gallery(count - 2 * each)}
    for kind, having in kinds.items():
        described = f"{kind} ({int(having.sum()):,} of {len(having):,} test images)"
        found[described] = _first_of_classes(np.flatnonzero(having), comparison.labels, each)
    return found


def _first_of_classes(indices: np.ndarray, labels: np.ndarray, count: int) -> list[int]:
    """The first image of ``count`` classes spread over those that have any, then further ones."""
    _, firsts = np.unique(labels[indices], return_index=True)
    first = indices[np.sort(firsts)]
    places = (2 * np.arange(min(count, len(first))) + 1) * len(first) // (2 * max(count, 1))
    picked = [int(first[place]) for place in dict.fromkeys(places[places < len(first)].tolist())]
    rest = [int(index) for index in indices if int(index) not in picked]
    return picked + rest[: count - len(picked)]


def _of_study(section: Section, part: StudyPart, count: int) -> None:
    comparison = part.comparison
    failures = comparison.load()
    titles = {member.key: member.title for member in comparison.members}
    for key, reason in failures.items():
        section.missing(f"Without {titles[key]}: {reason}")
    if len(failures) == len(comparison.members):
        return
    section.paragraph(
        f"Seed {comparison.seed}. Chosen by a fixed rule, not by hand: half of the images are "
        "spread over the classes, a quarter each are images that only one of DAIT and direct "
        "distillation has right, where both were trained."
    )
    seed = read_seed(read_study(comparison.study), comparison.seed)
    right = {
        member.role: seed.logits[member.key].argmax(axis=1) == comparison.labels
        for member in comparison.members
    }
    for kind, indices in chosen(comparison, right, count).items():
        for index in indices:
            try:
                image, label = comparison.test_image(index)
            except UserError as error:
                section.missing(f"No heatmaps: {error}")
                return
            name = comparison.classes[label].name
            row = [
                found
                for found in comparison.explain(image, target=label)
                if found.member.key not in failures
            ]
            cells = [_cell(image, found, comparison, label) for found in row]
            original = Picture(image, f"Test image {index}: {name}", "The image", (name,))
            section.pictures(f"{name}, test image {index}: {kind}", [original, *cells])


def _cell(image: np.ndarray, found: Explanation, comparison: Comparison, label: int) -> Picture:
    member = found.member
    best, probability = found.top[0] if found.top else (None, 0.0)
    answer = "no answer"
    if best is not None:
        mark = "right" if best == label else "wrong"
        answer = f"{comparison.classes[best].name}, {percent(probability, 0)} ({mark})"
    notes: Sequence[str] = [found.note] if found.note else ["empty map"] if found.empty else []
    alt = f"{member.title} on a {comparison.classes[label].name}: {_where(found)}"
    return Picture(overlay(image, found.heat), alt, member.title, (answer, *notes), member.role)


def _where(found: Explanation) -> str:
    """Where a map is strongest, in words."""
    if found.empty:
        return "no heatmap."
    row, column = np.unravel_index(int(found.heat.argmax()), found.heat.shape)
    down, across = (
        int(3 * at / size) for at, size in zip((row, column), found.heat.shape, strict=True)
    )
    return (
        f"strongest {('at the top', 'in the middle', 'at the bottom')[down]}, "
        f"{('left', 'centre', 'right')[across]}."
    )
