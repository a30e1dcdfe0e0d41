"""Which arm wins where: rows of trainings under teachers of many strengths, and what they say.

A regime is what a training has to do with: how much the frozen teacher knows of the task, how many
labelled images a class has, whether there are unlabelled ones, and how much the student's start
weights know. Imports nothing heavy: the app reads the map before PyTorch is loaded.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from dait.errors import UserError
from dait.storage.files import parse_json, read_bytes
from dait.storage.paths import ASSETS

ROWS = "regimes.jsonl"
MAP = ASSETS / "regimes" / ROWS
"""The rows of the map that comes along."""

REFERENCE = "independent"
"""The arm that gains are over."""


class Measured(BaseModel):
    """What is cheap to know of a regime before anything is trained (fractions, on validation).

    zero_shot: the frozen teacher's top-1 through its class prototypes; probe: of a linear probe of
    its embeddings, fitted to the labelled training images; start_probe: the same of the student's
    start weights. labelled, unlabelled: images of a class, on average.
    """

    model_config = ConfigDict(frozen=True)

    classes: int = Field(ge=1)
    labelled: float = Field(ge=0)
    unlabelled: float = Field(ge=0)
    zero_shot: float = Field(ge=0, le=1)
    probe: float = Field(ge=0, le=1)
    start_probe: float = Field(ge=0, le=1)


class RegimeRow(BaseModel):
    """One training: ``top1`` of the test split (a fraction) of an arm's student in a regime.

    condition: which images, by the name that the plan gives these settings.
    """

    model_config = ConfigDict(frozen=True)

    condition: str
    teacher: str
    student: str
    measured: Measured
    arm: str
    seed: int
    top1: float = Field(ge=0, le=1)
    intermediate_top1: float | None = None
    seconds: float = 0.0

    @property
    def regime(self) -> tuple[str, str, str]:
        """What the rows of one regime have in common."""
        return self.condition, self.teacher, self.student


class RegimeSummary(BaseModel):
    """A regime with its arms: means over seeds (fractions), and gains over ``REFERENCE`` seed by
    seed, in the order of the seeds."""

    model_config = ConfigDict(frozen=True)

    condition: str
    teacher: str
    student: str
    measured: Measured
    top1: Mapping[str, float]
    gains: Mapping[str, tuple[float, ...]]

    @property
    def best(self) -> str:
        """The arm with the largest mean gain: arms may have been trained with other seeds."""
        return max(self.gains, key=self.gain)

    def gain(self, arm: str) -> float:
        """Mean gain of an arm over ``REFERENCE``, a fraction."""
        return statistics.mean(self.gains[arm])


def read_rows(path: Path = MAP) -> list[RegimeRow]:
    """The rows of a map. Raises ``UserError`` where the file is missing or damaged."""
    if not path.exists():
        raise UserError(
            f"There is no map of regimes at {path}, and without one there is no advice. "
            "`python -m dait regimes --out DIR` trains one."
        )
    try:
        lines = read_bytes(path).splitlines()
        return [RegimeRow.model_validate(parse_json(line)) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(
            f"The map {path} cannot be read: {error}. `python -m dait regimes` makes one."
        ) from error


def summarize(rows: Sequence[RegimeRow]) -> list[RegimeSummary]:
    """One summary a regime, in the order of their first rows; without ``REFERENCE`` a regime is
    left out. Gains are over the reference with the same seed."""
    groups: dict[tuple[str, str, str], list[RegimeRow]] = {}
    for row in rows:
        groups.setdefault(row.regime, []).append(row)
    return [found for group in groups.values() if (found := _summary(group)) is not None]


def _summary(rows: Sequence[RegimeRow]) -> RegimeSummary | None:
    reference = {row.seed: row.top1 for row in rows if row.arm == REFERENCE}
    if not reference:
        return None
    by_arm: dict[str, dict[int, float]] = {}
    for row in rows:
        by_arm.setdefault(row.arm, {})[row.seed] = row.top1
    first = rows[0]
    return RegimeSummary(
        teacher=first.teacher,
        student=first.student,
        condition=first.condition,
        measured=_mean([row.measured for row in rows]),
        top1={arm: statistics.mean(found.values()) for arm, found in by_arm.items()},
        gains={
            arm: tuple(found[seed] - reference[seed] for seed in found if seed in reference)
            for arm, found in by_arm.items()
            if found.keys() & reference.keys()
        },
    )


def _mean(found: Sequence[Measured]) -> Measured:
    """Probes may differ in their last digits from seed to seed and device to device."""
    return Measured(
        **{
            name: type(getattr(found[0], name))(
                statistics.mean(getattr(one, name) for one in found)
            )
            for name in Measured.model_fields
        }
    )
