"""The tables: every network's accuracy, what it gains, and whether chance could have done it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from dait.config.arms import arm_title
from dait.evaluation.arms import ArmRuns, gains_as_json, mean_and_sd, over_seeds, paired_tests
from dait.evaluation.metrics import holm
from dait.evidence import figures
from dait.evidence.report.ablations import of_sweep, shipped_sweeps
from dait.evidence.report.inputs import ReportInputs, TestSet, any_run
from dait.evidence.report.section import Cell, Section
from dait.evidence.wording import (
    count,
    gain,
    interval,
    listed,
    p_is,
    p_value,
    points,
    seeds,
    spread,
)

_FIGURES = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_per_class": "Per class",
    "macro_f1": "Macro-F1",
    "ece": "ECE",
}


def write(inputs: ReportInputs) -> Section:
    """Tables of every test set; over several of them students × arms."""
    section = Section("accuracy", "Accuracy")
    students = {student_of(group) for test in inputs.tests for group in test.groups}
    if len(inputs.tests) > 1 or len(students) > 1:
        _across(section, inputs)
    for test in inputs.tests:
        if len(inputs.tests) > 1:
            section.heading(test.title)
        _accuracies(section, test, inputs)
        _bars(section, test, inputs)
        _tests(section, test)
    return section


def write_sweep(inputs: ReportInputs) -> Section:
    """DAIT by its intermediate teacher, where studies differ in it, and in the sweeps that come
    along."""
    section = Section("teachers", "How large must the intermediate teacher be?")
    for test in inputs.tests:
        _sweep(section, test)
    for file in shipped_sweeps():
        of_sweep(section, file, teachers=True)
    return section


def gains_of(test: TestSet, group: ArmRuns) -> Mapping[str, Any] | None:
    """``gains_as_json`` of a group over its base, None where it has none."""
    base = test.bases.get(group.name)
    return None if base is None else gains_as_json(group, base)


def student_of(group: ArmRuns) -> str:
    """The student's name and size, ``resnet10t, 0.32 M``."""
    run = any_run(group).folder
    name = str(run.config()["student"]["name"])
    parameters = (run.result() or {}).get("parameters")
    return name if parameters is None else f"{name}, {count(parameters)}"


def in_short(test: TestSet) -> list[str]:
    """A sentence for every arm that has something to be counted from, after what that is."""
    tests = {(row["a"], row["b"], row["seed"]): row["p"] for row in paired_tests(test.groups)}
    sentences = [
        f"{test.title_of(group)}: {spread(over_seeds(group)['top1'])} test top-1."
        for group in test.groups
        if group in test.bases.values()
    ]
    for group in test.groups:
        found, base = gains_of(test, group), test.bases.get(group.name)
        if found is None or base is None or found["top1"] is None:
            continue
        names = (group.name, base.name)
        values = [
            f"{p_value(tests.get((*names, seed), tests.get((*names[::-1], seed))))} (seed {seed})"
            for seed in found["per_class_seeds"]
        ]
        tested = f"; McNemar p = {listed(values)}" if values else ""
        sentences.append(
            f"{test.title_of(group)}: {spread(over_seeds(group)['top1'])}, "
            f"{gain(found['top1'])} points against {test.title_of(base)} over "
            f"{seeds(found['seeds'])}{tested}."
        )
    return sentences


def teacher_rows(test: TestSet, inputs: ReportInputs) -> list[dict[str, Any]]:
    """The networks that taught, of the studies whose runs are in a test set: rows of
    ``Comparison.table()``, with the study's title where there are several."""
    folders = {run.folder.path.resolve().parent for g in test.groups for run in g.runs.values()}
    parts = [part for part in inputs.studies if part.folder.resolve() in folders]
    arms = {group.arm for group in test.groups}
    return [
        {**row, "title": row["title"] if len(parts) == 1 else f"{part.title}: {row['title']}"}
        for part in parts
        for row in part.comparison.table()
        if row["role"] not in arms
    ]


def corrected_tests(test: TestSet) -> list[dict[str, Any]]:
    """``paired_tests`` of a test set, with ``corrected``: p after Holm for all of them."""
    rows = paired_tests(test.groups)
    corrected = holm([row["p"] for row in rows])
    return [{**row, "corrected": p} for row, p in zip(rows, corrected, strict=True)]


def p_against_base(test: TestSet) -> dict[str, float]:
    """The largest p over the seeds of every group against its base, after Holm for all of these."""
    pairs = {(name, base.name) for name, base in test.bases.items()}
    own = [
        (row["a"] if (row["a"], row["b"]) in pairs else row["b"], row["p"])
        for row in paired_tests(test.groups)
        if (row["a"], row["b"]) in pairs or (row["b"], row["a"]) in pairs
    ]
    found: dict[str, float] = {}
    for (name, _), p in zip(own, holm([p for _, p in own]), strict=True):
        found[name] = max(p, found.get(name, 0.0))
    return found


def _accuracies(section: Section, test: TestSet, inputs: ReportInputs) -> None:
    teachers = teacher_rows(test, inputs)
    rows: list[list[Cell]] = [_teacher_cells(test, row) for row in teachers]
    corrected = p_against_base(test)
    rows += [_group_cells(test, group, corrected.get(group.name)) for group in test.groups]
    n = any_run(test.groups[0]).figures["n"]
    names = ["Network", "Top-1", "Gain, points", *list(_FIGURES.values())[1:]]
    section.table(
        f"{test.title}: {n:,} test images. Mean ± standard deviation over the seeds, below it the "
        "95 % bootstrap interval over images of one seed. Gain: top-1 less that of the arm named "
        "below it, seed by seed, with the largest p of McNemar's tests over the seeds after Holm "
        "for all tests of this table. ECE: expected calibration error, 15 bins; lower is better. A "
        "dash: not known, or nothing to count from.",
        names,
        rows,
        [row["role"] for row in teachers] + [group.arm for group in test.groups],
    )
    unpaired = [test.title_of(g) for g in test.groups if g.name not in test.bases]
    if len(unpaired) > 1:
        section.missing(
            f"No gain is given for {listed(unpaired)}: a gain is counted from an arm of the same "
            "student on the same data, and there is none, or several that cannot be told apart, "
            "or this is that arm itself."
        )


def _teacher_cells(test: TestSet, row: Mapping[str, Any]) -> list[Cell]:
    taught = [
        own
        for group in test.groups
        for run in group.runs.values()
        if (own := run.figures["between"].get(row["role"])) is not None
    ]
    rest: list[Cell] = []
    for name in list(_FIGURES)[1:]:
        values = [own[name] for own in taught if own.get(name) is not None] or [row.get(name)]
        rest.append(spread(mean_and_sd(values)))
    top1 = {"mean": row["top1"], "sd": row["sd"]}
    bounds = interval(row["interval"])
    described = f"{bounds}, one seed" if bounds and row["sd"] is not None else bounds
    return [row["title"], (spread(top1), described), "–", *rest]


def _group_cells(test: TestSet, group: ArmRuns, p: float | None) -> list[Cell]:
    found, first = over_seeds(group), any_run(group)
    gains, base = gains_of(test, group), test.bases.get(group.name)
    bounds = interval(first.figures["top1_interval"])
    described = f"{bounds}, seed {first.seed}" if bounds and len(group.runs) > 1 else bounds
    gained: Cell = "–"
    if gains is not None and base is not None:
        gained = (gain(gains["top1"]), f"to {test.title_of(base)}{_p_words(p)}")
    rest: list[Cell] = [spread(found[name]) for name in list(_FIGURES)[1:]]
    title = (test.title_of(group), f"{student_of(group)}; {seeds(found['seeds'])}")
    return [title, (spread(found["top1"]), described), gained, *rest]


def _p_words(p: float | None) -> str:
    if p is None:
        return ""
    return f", {p_is(p)}"


def _bars(section: Section, test: TestSet, inputs: ReportInputs) -> None:
    teachers = teacher_rows(test, inputs)
    rows = [
        {"arm": row["role"], "title": row["title"], "top1": row["top1"]}
        for row in teachers
        if row["role"] != "vlm"
    ]
    rows += [
        {**run.figures, "arm": group.arm, "title": test.title_of(group), "seed": seed}
        for group in test.groups
        for seed, run in group.runs.items()
    ]
    references = {row["title"]: row["top1"] for row in teachers if row["role"] == "vlm"}
    described = ", ".join(
        f"{test.title_of(group)} {spread(over_seeds(group)['top1'])}" for group in test.groups
    )
    section.figure(
        figures.accuracy_bars(rows, references, dark=False),
        f"Bars of test top-1: {described}.",
        "Test top-1. A whisker is the standard deviation over the seeds, a dash one seed; with one "
        "seed it is the 95 % interval over images. A teacher's bar is its mean. Whiskers that "
        "overlap do not mean that two arms are alike: the paired tests below are sharper.",
    )


def _tests(section: Section, test: TestSet) -> None:
    by_name = {group.name: test.title_of(group) for group in test.groups}
    rows: list[list[Cell]] = [
        [
            f"{by_name[row['a']]} less {by_name[row['b']]}",
            str(row["seed"]),
            points(row["gain"]),
            f"{row['only_a']:,}",
            f"{row['only_b']:,}",
            p_value(row["p"]),
            p_value(row["corrected"]),
        ]
        for row in corrected_tests(test)
    ]
    if not rows:
        if len(test.groups) > 1:
            section.missing(
                "No two arms have answers to single images of one seed, so none is tested."
            )
        return
    section.table(
        "McNemar's exact test of every pair on the same test images, seed by seed. It says whether "
        "these two networks differ, not whether two trainings would again. Corrected: p after Holm "
        "for all tests of this table.",
        [
            *("Pair", "Seed", "Difference, points", "Only the first right", "Only the second"),
            *("p", "Corrected"),
        ],
        rows,
    )
    silent = sorted({s for group in test.groups for s in group.runs if s not in group.predictions})
    if silent:
        section.missing(
            f"Of {seeds(silent)} only figures are kept, no answers to single images: they count in "
            "the means and not in the tests, confusions and gains class by class."
        )


def _across(section: Section, inputs: ReportInputs) -> None:
    arms = list(dict.fromkeys(g.arm for test in inputs.tests for g in test.groups))
    rows: list[list[Cell]] = []
    for test in inputs.tests:
        for student in dict.fromkeys(student_of(group) for group in test.groups):
            own = [group for group in test.groups if student_of(group) == student]
            cells: list[Cell] = [_across_cell(test, [g for g in own if g.arm == a]) for a in arms]
            rows.append([(test.title, student), *cells])
    section.table(
        "Students, arms and data sets: test top-1, mean ± standard deviation over the seeds, and "
        "under it the gain in points and its corrected p. Rows are not to be compared with one "
        "another: they differ in data, student or both.",
        ["Data and student", *[arm_title(arm) for arm in arms]],
        rows,
    )
    lacking = [
        f"{test.title}, {listed([arm_title(a) for a in missing])}"
        for test in inputs.tests
        if (missing := [a for a in arms if a not in {g.arm for g in test.groups}])
    ]
    if lacking:
        section.missing(f"Not trained, and so left empty: {'; '.join(lacking)}.")


def _across_cell(test: TestSet, groups: Sequence[ArmRuns]) -> Cell:
    if not groups:
        return "–"
    top = "; ".join(spread(over_seeds(group)["top1"]) for group in groups)
    corrected = p_against_base(test)
    gained = [(gains_of(test, group), corrected.get(group.name)) for group in groups]
    return top, "; ".join(
        f"{gain(found['top1'])}{_p_words(p)}" for found, p in gained if found is not None
    )


def _sweep(section: Section, test: TestSet) -> None:
    """The paper's Fig. 5: intermediate teachers beside a dashed line of the direct baseline."""
    for student in dict.fromkeys(student_of(group) for group in test.groups):
        own = [g for g in test.groups if g.arm == "dait" and student_of(g) == student]
        titles = _by_teacher(own)
        bases = [base for group in own if (base := test.bases.get(group.name)) is not None]
        if len(titles) < 2 or not bases:
            continue
        rows = [
            {"arm": "dait", "title": title, "top1": run.figures["top1"], "seed": seed}
            for title, group in titles.items()
            for seed, run in group.runs.items()
        ]
        # One student, data set and arm in several studies: their mean is the line.
        value = mean(over_seeds(base)["top1"]["mean"] for base in bases)
        references = {arm_title(bases[0].arm): value}
        described = ", ".join(f"{t} {spread(over_seeds(g)['top1'])}" for t, g in titles.items())
        section.figure(
            figures.accuracy_bars(rows, references, dark=False),
            f"Bars of DAIT's test top-1 by intermediate teacher: {described}.",
            f"DAIT with different intermediate teachers, student {student}. The dashed line is "
            f"{arm_title(bases[0].arm)} with the same student. Whatever else differs between these "
            "recipes is in their difference too.",
        )


def _by_teacher(groups: Sequence[ArmRuns]) -> dict[str, ArmRuns]:
    """The groups by their intermediate teacher's name and size; of two alike the first."""
    found: dict[str, ArmRuns] = {}
    for group in groups:
        run = any_run(group).folder
        size = ((run.result() or {}).get("intermediate") or {}).get("parameters")
        name = str(run.config()["intermediate"]["name"])
        found.setdefault(name if size is None else f"{name}, {count(size)}", group)
    return found
