"""DAIT with one thing changed at a time: the sweeps that come along, and others on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from pydantic import TypeAdapter

from dait.config.arms import arm_title
from dait.errors import UserError
from dait.evidence import figures
from dait.evidence.report.inputs import FOCUS, ReportInputs
from dait.evidence.report.section import Cell, Section
from dait.evidence.wording import count, percent, points, seeds
from dait.runs.files import read_json_lines
from dait.storage.paths import ASSETS

EXPERIMENTS = ASSETS / "experiments"
FEWEST = 3
"""Settings of DAIT in a sweep that is shown."""
TEACHER = "intermediate"
"""Keys of a recipe that begin so choose the intermediate teacher."""
COMMAND = (
    "python -m dait sweep few-shot --arms independent,direct,dait --seeds 100,101,102 "
    "--vary dait.spatial_weight=[0,1,5] --vary dait.text_weight=[0,4] --out runs/ablations"
)

Row = Mapping[str, Any]


def write(_: ReportInputs) -> Section:
    """The sweeps that come along."""
    section = Section("ablations", "What in DAIT does the work?")
    for file in shipped_sweeps():
        of_sweep(section, file, teachers=False)
    return section


def shipped_sweeps() -> list[Path]:
    """Logs of the sweeps that come along, by name."""
    return sorted(EXPERIMENTS.glob("*.jsonl"))


def of_sweep(section: Section, file: Path, teachers: bool) -> bool:
    """Add DAIT's settings in the log of a sweep as bars and a table; whether there are enough.

    teachers: take only the settings that change the intermediate teacher, or only the others. A
    damaged log costs a sentence.
    """
    try:
        rows = [row for row in read_json_lines(file, TypeAdapter(dict[str, Any])) or () if _is(row)]
    except UserError as error:
        section.missing(str(error))
        return False
    own = {
        said: found
        for said, found in _by_setting(rows, FOCUS).items()
        if not found[0]["setting"] or _of_teacher(found[0]["setting"]) == teachers
    }
    if len(own) < FEWEST:
        return False
    if teachers:
        own = {
            f"{said}, {count(size)}" if size is not None else said: found
            for said, found in sorted(own.items(), key=lambda item: _size(item[1]) or 0)
            for size in [_size(found)]
        }
    numbers = sorted({int(row["seed"]) for found in own.values() for row in found})
    references = {
        arm_title(arm): mean(row["top1"] for row in unchanged)
        for arm in ("independent", "direct")
        if (unchanged := _by_setting(rows, arm).get(AS_IT_IS))
    }
    title = file.parent.name if file.stem == "sweep" else file.stem
    section.heading(f"{title.replace('-', ' ').capitalize()}: {seeds(numbers)}, validation split")
    bars = [
        {"arm": FOCUS, "title": said, "top1": row["top1"], "seed": row["seed"]}
        for said, found in own.items()
        for row in found
    ]
    described = ", ".join(f"{said} {percent(_mean(found))}" for said, found in own.items())
    lines = ""
    if references:
        lines = " The lines are the other arms as the recipe has them."
    section.figure(
        figures.accuracy_bars(bars, references, dark=False, split="validation"),
        f"Bars of DAIT's validation top-1 by setting: {described}.",
        f"DAIT with one thing changed at a time ({file.name}), top-1 on the validation images."
        f"{lines} Where one of them is chosen, the best flatters itself: what is chosen is "
        "measured on the test split elsewhere.",
    )
    base = next((found for found in own.values() if not found[0]["setting"]), None)
    table: list[list[Cell]] = [
        [
            said,
            percent(_mean(found)),
            points(None if base in (None, found) else _mean(found) - _mean(base)),
            _taught(found),
            str(len(found)),
        ]
        for said, found in own.items()
    ]
    section.table(
        "The same in figures; the difference is to the recipe as it is, in points.",
        ["Setting of DAIT", "Validation top-1", "Difference", "Intermediate teacher", "Seeds"],
        table,
    )
    return True


AS_IT_IS = "as it is"


def _is(row: Row) -> bool:
    return isinstance(row.get("setting"), Mapping) and {"arm", "seed", "top1"} <= row.keys()


def _of_teacher(setting: Row) -> bool:
    return all(str(key).startswith(TEACHER) for key in setting)


def _by_setting(rows: Sequence[Row], arm: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["arm"] == arm:
            said = ", ".join(_setting(key, value) for key, value in row["setting"].items())
            if found.get(said, [row])[0]["setting"] != row["setting"]:
                said = str(row["setting"])  # networks of one name that differ in what is not said
            found.setdefault(said or AS_IT_IS, []).append(row)
    return found


def _setting(key: str, value: Any) -> str:
    if isinstance(value, Mapping):  # a network: its weights say which, or else its name
        return str(value.get("weights") or value.get("name") or value).rpartition(":")[2]
    short = key.removeprefix(f"{FOCUS}.").removesuffix("_weight").replace("_", " ")
    return f"{short} {value}"


def _size(rows: Sequence[Row]) -> int | None:
    """Parameters of the intermediate teacher; None in a sweep of an older version."""
    return rows[0].get("intermediate_parameters")


def _mean(rows: Sequence[Row]) -> float:
    return mean(float(row["top1"]) for row in rows)


def _taught(rows: Sequence[Row]) -> str:
    known = [row["intermediate_top1"] for row in rows if row.get("intermediate_top1") is not None]
    return percent(mean(known) if known else None)
