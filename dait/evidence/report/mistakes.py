"""Where the accuracy comes from: gains by class, confusions, confidence, parts of the split."""

from __future__ import annotations

from functools import partial

import numpy as np

from dait.errors import UserError
from dait.evaluation.arms import ArmRuns, over_seeds
from dait.evaluation.confusion import ConfusedPair, confusion_matrix, most_confused
from dait.evaluation.metrics import reliability
from dait.evaluation.predictions import RunPredictions
from dait.evaluation.runs import EvaluatedRun
from dait.evidence import figures
from dait.evidence.report.accuracy import gains_of
from dait.evidence.report.inputs import ReportInputs, TestSet, groups_of
from dait.evidence.report.section import Picture, Section
from dait.evidence.single_images import SingleImages
from dait.evidence.wording import listed, percent, points, seeds
from dait.runs.data import recipe_of

PAIRS, EXAMPLES = 5, 4


def write_classes(inputs: ReportInputs) -> Section:
    """What every arm gains class by class, and accuracy on parts of the split."""
    section = Section("classes", "Class by class, and by kind of image")
    for test in inputs.tests:
        if len(inputs.tests) > 1:
            section.heading(test.title)
        for group in test.groups:
            _gains(section, test, group)
        _slices(section, test)
    return section


def write_confusions(inputs: ReportInputs) -> Section:
    """Confusion matrices, the most confused pairs with their images, reliability diagrams."""
    section = Section("confusions", "Confusions and confidence")
    for test in inputs.tests:
        if len(inputs.tests) > 1:
            section.heading(test.title)
        seed, answers = _of_one_seed(test)
        if not answers:
            section.missing(
                "Of these runs only figures are kept, no answers to single images, so confusions "
                "and reliability are not known."
            )
            continue
        _confusion(section, test, seed, answers)
        _pairs(section, test, seed, answers)
        _reliability(section, test, seed, answers)
    return section


def _gains(section: Section, test: TestSet, group: ArmRuns) -> None:
    found, base = gains_of(test, group), test.bases.get(group.name)
    if found is None or base is None:
        return
    rows = found["per_class"]
    ours, theirs = test.title_of(group), test.title_of(base)
    if not rows:
        section.missing(
            f"{ours} and {theirs} have no seed with answers to single images in common."
        )
        return
    ordered = sorted(rows, key=lambda row: -row["gain"])
    ahead = sum(row["gain"] > 0 for row in rows)
    behind = sum(row["gain"] < 0 for row in rows)
    images = sum(row["n"] for row in rows) / len(rows)
    section.panels(
        partial(figures.gain_bars, rows, group.arm, base.arm),
        f"Bars of {ours}'s gain over {theirs} in each of {len(rows)} classes, from "
        f"{points(ordered[0]['gain'])} points on {ordered[0]['name']} to "
        f"{points(ordered[-1]['gain'])} on {ordered[-1]['name']}; ahead on {ahead}, behind on "
        f"{behind}.",
        f"{ours} less {theirs}, class by class, from the most to the least; "
        f"{seeds(found['per_class_seeds'])}. A class has {images:.0f} test images on average: a "
        f"single image moves its bar by {100 / images:.0f} points, so single classes prove "
        "nothing, the shape might.",
    )


def _slices(section: Section, test: TestSet) -> None:
    tables = {test.key_of(group): over_seeds(group)["slices"] for group in test.groups}
    names = list(dict.fromkeys(name for own in tables.values() for name in own))
    if not names:
        section.missing(f"The test split of {test.title} is not cut into kinds of images.")
    for name in names:
        own = {arm: table.get(name, {}) for arm, table in tables.items()}
        described = "; ".join(
            f"{arm}: " + ", ".join(f"{value} {percent(top1)}" for value, top1 in table.items())
            for arm, table in own.items()
        )
        section.figure(
            figures.slices_bars(own, name, dark=False),
            f"Bars of test top-1 by {name}. {described}.",
            f"Test top-1 by {name}, means over the seeds. The parts differ in size and in the "
            "classes they hold: compare arms within a part rather than parts with one another.",
        )


def _of_one_seed(test: TestSet) -> tuple[int, dict[str, EvaluatedRun]]:
    """The seed that most groups have answers of, the lowest of these, and their runs by name."""
    known = sorted({seed for group in test.groups for seed in group.predictions})
    if not known:
        return 0, {}
    seed = max(known, key=lambda s: (sum(s in group.predictions for group in test.groups), -s))
    return seed, {g.name: g.runs[seed] for g in test.groups if seed in g.predictions}


def _predictions(run: EvaluatedRun) -> RunPredictions:
    assert run.predictions is not None  # of the runs that have them
    return run.predictions


def _keys(test: TestSet, runs: dict[str, EvaluatedRun]) -> dict[str, EvaluatedRun]:
    """The runs by what figures call their group."""
    return {test.key_of(group): runs[group.name] for group in test.groups if group.name in runs}


def _confusion(section: Section, test: TestSet, seed: int, runs: dict[str, EvaluatedRun]) -> None:
    one = next(iter(runs.values()))
    names, families = [info.name for info in one.classes], groups_of(one.classes)
    matrices = {
        key: confusion_matrix(_predictions(run).predicted, _predictions(run).labels, len(names))
        for key, run in _keys(test, runs).items()
    }
    section.panels(
        partial(figures.confusion_panels, matrices, names, families),
        f"Confusion matrices of {listed([test.title_of(g) for g in test.groups])}, "
        f"{len(names)} classes.",
        f"Confusions of seed {seed}: rows are what is shown, columns what it is taken for, colour "
        "the share of the row. Classes of a group stand together, so blocks beside the diagonal "
        "are mistakes within a group. Counts of single cells are small.",
    )


def _pairs(section: Section, test: TestSet, seed: int, runs: dict[str, EvaluatedRun]) -> None:
    focus = test.focus
    if focus is None or focus.name not in runs:
        return
    run = runs[focus.name]
    pairs = most_confused(
        _predictions(run).logits["student"], _predictions(run).labels, PAIRS, EXAMPLES
    )
    if not pairs:
        section.paragraph(f"{test.title_of(focus)} confuses no two classes.")
        return
    rows = []
    for pair in pairs:
        label, taken = run.classes[pair.label].name, run.classes[pair.predicted].name
        counts = [
            str(_count(runs[group.name], pair)) for group in test.groups if group.name in runs
        ]
        rows.append([f"{label} taken for {taken}", percent(pair.share, 0), *counts])
    section.table(
        f"What {test.title_of(focus)} (seed {seed}) confuses most, and how many images of that "
        "class every arm takes for the same other one.",
        [
            *("Pair", f"Share of the class, {test.title_of(focus)}"),
            *(test.title_of(group) for group in test.groups if group.name in runs),
        ],
        rows,
    )
    source = SingleImages(recipe_of(run.folder).data)
    for pair in pairs:
        cells, problem = _examples(source, run, pair)
        if problem:
            section.missing(f"No pictures of these confusions: {problem}")
            return
        label, taken = run.classes[pair.label].name, run.classes[pair.predicted].name
        section.pictures(
            f"{label}, taken for {taken} by {test.title_of(focus)}; last, a true {taken}", cells
        )


def _count(run: EvaluatedRun, pair: ConfusedPair) -> int:
    found = _predictions(run)
    return int(((found.labels == pair.label) & (found.predicted == pair.predicted)).sum())


def _examples(
    source: SingleImages, run: EvaluatedRun, pair: ConfusedPair
) -> tuple[list[Picture], str]:
    """The images of a pair and one of the class they are taken for, or why there are none."""
    label = run.classes[pair.label].name
    cells = []
    try:
        for index in pair.examples:
            image = source.image(index, _predictions(run).ids[index])
            cells.append(Picture(image, f"Test image {index}: {label}", label, (f"image {index}",)))
        index = int(np.argmax(_predictions(run).labels == pair.predicted))
        taken = run.classes[pair.predicted].name
        image = source.image(index, _predictions(run).ids[index])
        cells.append(Picture(image, f"Test image {index}: {taken}", taken, (f"image {index}",)))
    except UserError as error:
        return [], str(error)
    return cells, ""


def _reliability(section: Section, test: TestSet, seed: int, runs: dict[str, EvaluatedRun]) -> None:
    found = {
        key: reliability(_predictions(run).logits["student"], _predictions(run).labels)
        for key, run in _keys(test, runs).items()
    }
    described = ", ".join(f"{key} {percent(own.error)}" for key, own in found.items())
    section.panels(
        partial(figures.reliability_panels, found),
        f"Reliability diagrams; expected calibration error {described}.",
        f"Seed {seed}. A bar's top is how often answers of that confidence are right, the hatched "
        "part the gap to the confidence itself. Empty bins had no answers. A calibrated network "
        "need not be a good one.",
    )
