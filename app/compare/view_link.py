"""The view of the Compare tab as a link: written to the address, read from it, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from app.compare.selection import MAX_ROWS
from app.compare.views import AUTOMATIC, METHODS, PREDICTED
from app.ui.wording import listed

LONGEST = 300
"""Characters of a value; longer ones are not from this page."""
OPACITY = 0.6

Value = TypeVar("Value")


@dataclass(frozen=True)
class LinkState:
    """What the Compare tab shows. Every field but ``study`` has a default.

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
        """The query string of an address, without default values."""
        values = {key: getattr(self, field) for key, field in _FIELDS.items()}
        default = {key: getattr(LinkState(), field) for key, field in _FIELDS.items()}
        words = {
            key: ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
            for key, value in values.items()
            if value != default[key]
        }
        return urlencode(words, safe=",")


@dataclass(frozen=True)
class StudyFacts:
    """What a link can refer to in a study."""

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
"""Our names in an address; others are left unchanged."""


_SCRIPT = Path(__file__).with_name("linked.js")


def links_head() -> str:
    """The script in the page's head that keeps figures, rows and address in step."""
    script = _SCRIPT.read_text(encoding="utf-8")
    return f"<script>{script.replace('LINK_KEYS', json.dumps(KEYS))}</script>"


def read_view(query: Mapping[str, Any]) -> tuple[LinkState, list[str]]:
    """The view of a link, and a phrase for each part that cannot be read, which is left out.

    Whether the study has all this is checked by ``restrict``.
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


def restrict(view: LinkState, facts: StudyFacts) -> tuple[LinkState, list[str]]:
    """The view with defaults for what the study does not have, and a phrase for each of these."""
    problems: list[str] = []

    def keep(name: str, value: Value, default: Value, fits: Callable[[Value], bool]) -> Value:
        if value == default or fits(value):
            return value
        problems.append(f"{name} {value}")
        return default

    images = tuple(index for index in view.images if 0 <= index < facts.images)[:MAX_ROWS]
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


def link_problems(problems: Sequence[str]) -> str:
    """The problems of a link as a sentence; empty if there are none."""
    if not problems:
        return ""
    return (
        f"This link refers to something that is not here: {listed(list(problems))}. The default "
        "is shown instead."
    )


class RequestedView:
    """The view of the link that the page was opened with. Changed in place.

    It holds until another study is opened.
    """

    def __init__(self) -> None:
        self._view: LinkState | None = None
        self.problems: tuple[str, ...] = ()

    def set(self, view: LinkState, problems: Sequence[str] = ()) -> None:
        """Show this when its study is opened; ``problems``: parts of the link that failed."""
        self._view, self.problems = view, tuple(problems)

    @property
    def study(self) -> str | None:
        """The study of the view; None before the page is opened, empty if there is none."""
        return None if self._view is None else self._view.study

    def get(self, study: str) -> LinkState:
        """The view to open a study with."""
        if self._view is not None and self._view.study == study:
            return self._view
        return LinkState(study)

    def take(self, study: str) -> LinkState:
        """``get``; another study than the link's ends the request.

        A study may be opened twice when a page is opened with a link: both show the link's view.
        """
        if study != self.study:
            self.set(LinkState(study))
        return self.get(study)


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
