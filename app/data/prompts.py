"""Prompts as text, and the accuracy of a teacher with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.ui.notice import notice
from app.ui.templates import render
from dait.data.base import ClassInfo
from dait.data.folders.names import nfc
from dait.errors import UserError
from dait.teachers.prompts import LONGEST, MOST_TEMPLATES, Prompts

if TYPE_CHECKING:
    from dait.teachers.zero_shot import Score

_LONGEST_TEXT = 2_000_000
_WORST = 4
_Z = 1.96

WHY_NONE = (
    "This teacher sees images only and reads no text. It represents every class by the mean "
    "embedding of its training images, so there are no prompts. Choose an OpenCLIP teacher to "
    "write prompts."
)


def written_templates(templates: Sequence[str]) -> str:
    """Templates as text, one per line."""
    return "\n".join(templates)


def written_descriptions(classes: Sequence[ClassInfo]) -> str:
    """The classes' own descriptions as text: ``key: sentence``, one per line."""
    return "\n".join(f"{info.key}: {text}" for info in classes for text in info.descriptions)


def read_prompts(templates: object, descriptions: object, classes: Sequence[ClassInfo]) -> Prompts:
    """The prompts in two texts, without descriptions that are the classes' own.

    A line of descriptions starts with a class's key or name and a colon. Raises ``UserError`` for
    other lines, and for invalid sentences.
    """
    for text in (templates, descriptions):
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            raise UserError(
                f"Prompts are text: one template per line (at most {MOST_TEMPLATES}), one "
                f"description per line, each of at most {LONGEST:,} characters."
            )
    found: dict[str, list[str]] = {info.key: [] for info in classes}
    heads = _heads(classes)
    for number, line in enumerate(nfc(str(descriptions)).splitlines(), start=1):
        if line.strip():
            key, sentence = _split(line.strip(), heads, number, classes)
            found[key].append(sentence)
    own = {info.key: tuple(info.descriptions) for info in classes}
    return Prompts(
        tuple(line.strip() for line in str(templates).splitlines() if line.strip()),
        {key: tuple(said) for key, said in found.items() if tuple(said) != own[key]},
    )


def preview_html(score: Score, usual: Score, classes: Sequence[ClassInfo]) -> str:
    """The figures of a set of prompts beside those of the data set's own."""
    low, high = interval(score.top1, score.images)
    return render(
        "prompt_scores",
        score=score,
        change=score.top1 - usual.top1,
        low=low,
        high=high,
        doubt=_Z * math.sqrt(max(score.top1 * (1 - score.top1), 1e-9) / max(1, score.images)),
        warnings=[notice(warning) for warning in score.warnings],
        worst=_worst(score, classes),
    )


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` (Wilson 1927)."""
    if count == 0:
        return 0.0, 1.0
    spread = _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _heads(classes: Sequence[ClassInfo]) -> list[tuple[str, str]]:
    """(start of a line, class key): the longest first, keys before names."""
    names = {nfc(info.name).casefold(): info.key for info in classes}
    keys = {nfc(info.key).casefold(): info.key for info in classes}
    return sorted((names | keys).items(), key=lambda head: -len(head[0]))


def _split(
    line: str, heads: list[tuple[str, str]], number: int, classes: Sequence[ClassInfo]
) -> tuple[str, str]:
    lower = line.casefold()
    for head, key in heads:
        if lower.startswith(f"{head}:") and line[len(head) + 1 :].strip():
            return key, line[len(head) + 1 :].strip()
    example = f"{classes[0].key}: what it looks like" if classes else "class: what it looks like"
    raise UserError(
        f"Line {number} of the descriptions is ‘{line[:60]}’. Start each line with a class and a "
        f"colon, as in ‘{example}’."
    )


def _worst(score: Score, classes: Sequence[ClassInfo]) -> list[dict[str, Any]]:
    """The classes with the lowest accuracy, and what each is mostly taken for."""
    known = [(share, label) for label, share in enumerate(score.per_class) if not math.isnan(share)]
    rows = []
    for share, label in sorted(known)[:_WORST]:
        if share >= 1:
            break
        other = score.taken_for[label]
        taken_for = classes[other].name if other >= 0 else None
        rows.append({"name": classes[label].name, "share": share, "taken_for": taken_for})
    return rows
