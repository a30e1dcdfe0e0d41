"""The view of the Compare tab as a link: written to the address, read from it, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from app.compare.picked import MOST_ROWS
from app.compare.views import AUTOMATIC, METHODS, PREDICTED
from app.ui.wording import listed

LONGEST = 300
"""Characters of a value; a link that says more is none of ours."""
OPACITY = 0.6

Value = TypeVar("Value")


@dataclass(frozen=True)
class LinkState:
    """What a visitor looks at. Everything but the study has a value that stands for the default.

    images, target, label: test images and classes by index; right, wrong: networks by their roles;
    part: ``habitat=snow``.
    """

    study: str = ""
    seed: int | None = None
    images: tuple[int, ...] = ()
    method: str = AUTOMATIC
    layer: str = ""
    target: int = PREDICTED
    sentence: str = ""
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    label: int | None = None
    part: str = ""
    opacity: float = OPACITY

    def query(self) -> str:
        """The part of an address after ``?``, without what is as it is by default."""
        said = {key: getattr(self, field) for key, field in _FIELDS.items()}
        default = {key: getattr(LinkState(), field) for key, field in _FIELDS.items()}
        words = {
            key: ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
            for key, value in said.items()
            if value != default[key]
        }
        return urlencode(words, safe=",")


@dataclass(frozen=True)
class Facts:
    """What a study has that a view can be of."""

    seeds: Sequence[int]
    images: int
    classes: int
    roles: Sequence[str]
    parts: Sequence[str]


_FIELDS = {
    "study": "study",
    "seed": "seed",
    "images": "images",
    "method": "method",
    "layer": "layer",
    "target": "target",
    "sentence": "sentence",
    "right": "right",
    "wrong": "wrong",
    "class": "label",
    "part": "part",
    "opacity": "opacity",
}
KEYS = tuple(_FIELDS)
"""The names in an address that are ours; others are left alone."""


_SCRIPT = Path(__file__).with_name("linked.js")


def links_head() -> str:
    """What the page's head needs for figures, rows and the address to follow one another."""
    script = _SCRIPT.read_text(encoding="utf-8")
    return f"<script>{script.replace('LINK_KEYS', json.dumps(KEYS))}</script>"


def read_view(query: Mapping[str, Any]) -> tuple[LinkState, list[str]]:
    """The view of a link, and what in it means nothing, as phrases; that is left out.

    Whether a study has all this is another question: see ``fitting``.
    """
    found: dict[str, Any] = {}
    problems = []
    for key, read in _READERS.items():
        raw = query.get(key)
        if raw is None:
            continue
        try:
            if len(str(raw)) > LONGEST:
                raise ValueError
            found[_FIELDS[key]] = read(str(raw))
        except ValueError:
            problems.append(f"{key} “{_short(raw)}”")
    return LinkState(**found), problems


def fitting(view: LinkState, facts: Facts) -> tuple[LinkState, list[str]]:
    """The view with the default for whatever the study has not, and that as phrases."""
    problems: list[str] = []

    def keep(name: str, value: Value, default: Value, fits: Callable[[Value], bool]) -> Value:
        if value == default or fits(value):
            return value
        problems.append(f"{name} {value}")
        return default

    images = tuple(index for index in view.images if 0 <= index < facts.images)[:MOST_ROWS]
    missing = [str(index) for index in view.images if index not in images]
    if missing:
        problems.append(f"test image {listed(missing)}")
    right, wrong = (
        tuple(filter(None, (keep("network", role, "", facts.roles.__contains__) for role in named)))
        for named in (view.right, view.wrong)
    )
    fits = replace(
        view,
        seed=keep("seed", view.seed, None, facts.seeds.__contains__),
        images=images,
        method=keep("method", view.method, AUTOMATIC, METHODS.__contains__),
        target=keep("class", view.target, PREDICTED, range(facts.classes).__contains__),
        label=keep("class", view.label, None, range(facts.classes).__contains__),
        part=keep("part", view.part, "", facts.parts.__contains__),
        opacity=keep("opacity", view.opacity, OPACITY, lambda value: 0 <= value <= 1),
        right=right,
        wrong=wrong,
    )
    return fits, problems


def complaint(problems: Sequence[str]) -> str:
    """What is wrong with a link, as a sentence; empty where nothing is."""
    if not problems:
        return ""
    return (
        f"This link asks for what is not here: {listed(list(problems))}. The default is shown "
        "instead."
    )


class Arrival:
    """The view that a visitor came for, until another study is opened; changed in place."""

    def __init__(self) -> None:
        self._view: LinkState | None = None
        self.problems: tuple[str, ...] = ()

    def put(self, view: LinkState, problems: Sequence[str] = ()) -> None:
        """Show this when its study is opened, and say what its link could not mean."""
        self._view, self.problems = view, tuple(problems)

    def look(self, study: str) -> LinkState:
        """The view to open a study with."""
        return (
            self._view if self._view is not None and self._view.study == study else LinkState(study)
        )

    @property
    def study(self) -> str | None:
        """The study of the view; None before the page is opened, empty where there is none."""
        return None if self._view is None else self._view.study

    def take(self, study: str) -> LinkState:
        """``look``; whoever has opened another study in between begins with the default.

        One study may be opened twice where a page comes with a link: it says so each time.
        """
        if study != self.study:
            self.put(LinkState(study))
        return self.look(study)


def _short(raw: object) -> str:
    text = str(raw)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _numbers(raw: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(part) for part in raw.split(",") if part))


def _words(raw: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in raw.split(",") if part))


_READERS: dict[str, Callable[[str], Any]] = {
    "study": str,
    "seed": int,
    "images": _numbers,
    "method": str,
    "layer": str,
    "target": int,
    "sentence": str,
    "right": _words,
    "wrong": _words,
    "class": int,
    "part": str,
    "opacity": float,
}
