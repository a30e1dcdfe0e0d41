"""One colour for every arm, the same in every figure, table and heatmap row.

The colours start from Okabe and Ito's set ("Color Universal Design", 2008). Their black and yellow
vanish on a dark or a light page, so grey and brown stand in, and the others are moved a little:
every pair stays apart under simulated protanopia, deuteranopia and tritanopia, and every colour
reads on white and on a dark page (the tests measure both).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dait.config.arms import arm_title

ARM_COLOURS: dict[str, str] = {
    "independent": "#6E6E6E",
    "direct": "#1279B8",
    "dait": "#D55E00",
    "vl2lite": "#009E60",
    "dho": "#822BD8",
    "kd": "#D291B8",
    "takd": "#8F5522",
    "intermediate": "#E69F00",
    "vlm": "#56B4E9",
}

TEACHER_COLOURS: dict[str, str] = {
    "classifier": ARM_COLOURS["kd"],
    "assistant": ARM_COLOURS["takd"],
}
"""Networks that teach in one arm alone: they share its colour and stand in tables only."""

SPLIT_COLOURS: dict[str, str] = {
    "train": ARM_COLOURS["direct"],
    "val": ARM_COLOURS["intermediate"],
    "test": ARM_COLOURS["independent"],
}
"""A data set's splits, in colours of the same set: no figure shows both splits and arms."""

SPLIT_TITLES: dict[str, str] = {
    "train": "Training",
    "val": "Validation",
    "test": "Test",
    "unlabelled": "Unlabelled",
}

OTHER_COLOUR = "#8A8A8A"
"""For anything that is not an arm."""

GROUP_SYMBOLS: tuple[str, ...] = (
    "circle",
    "square",
    "diamond",
    "cross",
    "x",
    "triangle-up",
    "star",
    "hexagon",
)
"""Plotly marker symbols that tell the classes of one group apart."""

# Hues of a figure's classes: the arms' colours again, in an order where neighbours differ most.
_GROUP_COLOURS: tuple[str, ...] = tuple(
    ARM_COLOURS[arm]
    for arm in ("direct", "dait", "vl2lite", "kd", "takd", "vlm", "intermediate", "independent")
)
_RUN_NAME = re.compile(r"(?P<arm>.+)-s(?P<seed>\d+)")


class RunLook(NamedTuple):
    """How a run appears: its arm, title, colour and seed (None where the name has none)."""

    arm: str
    title: str
    colour: str
    seed: int | None


class ClassLook(NamedTuple):
    """How one class appears in a scatter plot."""

    colour: str
    symbol: str


def arm_colour(arm: str) -> str:
    """The colour of an arm or a role as ``#RRGGBB``, or a neutral grey where it is none of ours."""
    return {**ARM_COLOURS, **TEACHER_COLOURS}.get(arm, OTHER_COLOUR)


def run_look(name: str) -> RunLook:
    """The look of ``name``, an arm (``dait``) or a run folder's name (``dait-s0``)."""
    match = _RUN_NAME.fullmatch(name)
    arm, seed = (match["arm"], int(match["seed"])) if match else (name, None)
    title = arm_title(arm) if seed is None else f"{arm_title(arm)}, seed {seed}"
    return RunLook(arm, title, arm_colour(arm), seed)


def with_opacity(colour: str, opacity: float) -> str:
    """``#RRGGBB`` and an opacity in [0, 1] as a CSS ``rgba()``."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def class_looks(count: int, groups: Sequence[str] | None = None) -> tuple[ClassLook, ...]:
    """One look per class: a group shares its hue and its classes differ by symbol.

    With no ``groups`` (one name per class) every class takes the next hue, and the symbol changes
    each time the hues are used up. Looks repeat after 64 classes of distinct groups; the hover
    text, not the colour, is what names a point then.

    Raises ``ValueError`` where ``groups`` does not name one group per class.
    """
    if groups is None:
        groups = [str(index) for index in range(count)]
        places = [0] * count
    else:
        if len(groups) != count:
            raise ValueError(f"{len(groups)} group names for {count} classes")
        places = [list(groups[:index]).count(groups[index]) for index in range(count)]
    order = list(dict.fromkeys(groups))
    looks = []
    for group, place in zip(groups, places, strict=True):
        rank = order.index(group)
        colour = _GROUP_COLOURS[rank % len(_GROUP_COLOURS)]
        symbol = GROUP_SYMBOLS[(place + rank // len(_GROUP_COLOURS)) % len(GROUP_SYMBOLS)]
        looks.append(ClassLook(colour, symbol))
    return tuple(looks)
