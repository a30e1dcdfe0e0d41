"""The log of a sweep: a line for every setting, arm and seed that was measured on validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from dait.runs.files import Seed, read_json_lines

LOG = "sweep.jsonl"


class SweepRow(TypedDict):
    """A line of ``sweep.jsonl``, as far as it is read again."""

    __pydantic_config__ = ConfigDict(extra="allow", allow_inf_nan=False)  # type: ignore[misc]
    setting: dict[str, Any]
    arm: str
    seed: Seed
    top1: float


ROW = TypeAdapter(SweepRow)


@dataclass(frozen=True)
class SweepPoint:
    """An arm at one value of the setting; top1: validation top-1 of each seed, fractions."""

    arm: str
    value: Any
    in_recipe: bool
    top1: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.top1)


def sweep_title(recipe: str, keys: Iterable[str]) -> str:
    """What a sweep is called in lists. recipe: the title of its recipe; keys: what it varies."""
    return f"Sweep over {', '.join(keys) or 'nothing'}: {recipe}"


def read_sweep(folder: Path) -> list[dict[str, Any]]:
    """The lines so far; none before the first. Raises ``UserError`` where they are damaged."""
    found: list[dict[str, Any]] | None = read_json_lines(folder / LOG, ROW)
    return found or []


def points_of(rows: Sequence[Mapping[str, Any]], key: str, own: Any) -> list[SweepPoint]:
    """The values of one setting in their order, arm by arm.

    key: of the recipe, dotted; own: its value there, which the empty setting stands for. Rows of
    other settings are left out.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    values: dict[str, Any] = {}
    for row in rows:
        if set(row["setting"]) - {key}:
            continue
        value = row["setting"].get(key, own)
        values[repr(value)] = value
        groups.setdefault((row["arm"], repr(value)), []).append(row)
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values.values())
    order = sorted(values, key=lambda name: values[name]) if numbers else list(values)
    arms = dict.fromkeys(row["arm"] for row in rows)
    return [
        SweepPoint(
            arm,
            values[name],
            values[name] == own,
            tuple(row["top1"] for row in groups[arm, name]),
        )
        for arm in arms
        for name in order
        if (arm, name) in groups
    ]


def best_of(points: Sequence[SweepPoint]) -> dict[str, SweepPoint]:
    """Each arm's value with the highest mean; the recipe's where several have it."""
    best: dict[str, SweepPoint] = {}
    for point in points:
        known = best.get(point.arm)
        if known is None or (point.mean, point.in_recipe) > (known.mean, known.in_recipe):
            best[point.arm] = point
    return best
