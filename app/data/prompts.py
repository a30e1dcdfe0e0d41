"""The prompts as people write them, and how well a teacher names images with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.config import AppConfig
from app.ui.notice import notice
from app.ui.wording import escape, percent, points
from dait.data.base import ClassInfo
from dait.data.folders.names import nfc
from dait.errors import UserError
from dait.teachers.prompts import LONGEST, MOST_TEMPLATES, Prompts

if TYPE_CHECKING:
    from dait.teachers.zero_shot import Score

DEMO_TEACHER = "fieldguide-clip"
IMAGE_TEACHER = "imagenet-lite0"
TEACHERS: tuple[tuple[str, str, bool], ...] = (
    ("Demo teacher, knows drawn birds (fieldguide-clip)", DEMO_TEACHER, True),
    ("ImageNet network, sees images only (imagenet-lite0)", IMAGE_TEACHER, True),
    ("OpenCLIP ViT-B-32 (0.6 GB to download)", "openclip:ViT-B-32/laion2b_s34b_b79k", False),
)
"""(title, name, whether strangers may start it)."""

_LONGEST_TEXT = 2_000_000
_WORST = 4
_Z = 1.96

WHY_NONE = (
    "This teacher sees images only and reads no words. In place of prompts it knows every class by "
    "the mean of its training images, so there is nothing to write here. Choose an OpenCLIP "
    "teacher to write prompts."
)


def teacher_choices(config: AppConfig) -> list[tuple[str, str]]:
    """(title, name) of the teachers that a visitor may choose."""
    return [(title, name) for title, name, light in TEACHERS if light or config.paths]


def usual_teacher(value: object) -> str:
    """The teacher that is offered first for a data set."""
    return DEMO_TEACHER if value == "fieldguide" else IMAGE_TEACHER


def read_teacher(config: AppConfig, name: object) -> str:
    """A teacher's name from a browser; ``UserError`` for one that is not offered."""
    if name in [known for _, known in teacher_choices(config)]:
        return str(name)
    # The user of this machine may name any that a recipe may name.
    if config.paths and isinstance(name, str) and 0 < len(name) < 500:
        return name
    raise UserError("Choose the teacher from the list.")


def written_templates(templates: Sequence[str]) -> str:
    """Templates as a text: one a line."""
    return "\n".join(templates)


def written_descriptions(classes: Sequence[ClassInfo]) -> str:
    """The classes' own descriptions as a text: ``key: sentence``, one a line."""
    return "\n".join(f"{info.key}: {text}" for info in classes for text in info.descriptions)


def read_prompts(templates: object, descriptions: object, classes: Sequence[ClassInfo]) -> Prompts:
    """The prompts that two texts say; only what differs from the classes' own descriptions.

    A line of descriptions begins with a class's key or name and a colon. Raises ``UserError`` for
    a line that does not, and for sentences that will not do.
    """
    for text in (templates, descriptions):
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            raise UserError(
                f"Prompts are text: one template a line (at most {MOST_TEMPLATES}), one "
                f"description a line, each of at most {LONGEST:,} characters."
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
    changed = score.top1 - usual.top1
    against = f"{points(changed)} points against the data set's own prompts. " if changed else ""
    doubt = _Z * math.sqrt(max(score.top1 * (1 - score.top1), 1e-9) / max(1, score.images))
    return (
        '<div role="status"><p class="ds-figure" id="zero-shot">'
        f"<b>{percent(score.top1)}</b> of {score.images:,} validation images are named right</p>"
        f'<p class="ds-hint">{against}95 % interval {percent(low, 0)} to {percent(high, 0)}: '
        f"smaller differences than about {100 * doubt:.0f} points may be chance. "
        f"{score.sentences:,} sentences. The test images are not looked at.</p>"
        f"{''.join(map(notice, score.warnings))}{_worst(score, classes)}</div>"
    )


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` (Wilson 1927)."""
    if count == 0:
        return 0.0, 1.0
    spread = _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def summary(prompts: Prompts) -> str:
    """What is changed, in a few words; empty where nothing is."""
    parts = []
    if prompts.templates:
        count = len(prompts.templates)
        parts.append("1 template" if count == 1 else f"{count} templates")
    if prompts.descriptions:
        count = len(prompts.descriptions)
        parts.append(f"descriptions of {'1 class' if count == 1 else f'{count} classes'}")
    return " and ".join(parts)


def _heads(classes: Sequence[ClassInfo]) -> list[tuple[str, str]]:
    """(what a line may begin with, key): the longest first, keys before names."""
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
        f"Line {number} of the descriptions is ‘{line[:60]}’. Begin each line with a class and a "
        f"colon, as in ‘{example}’."
    )


def _worst(score: Score, classes: Sequence[ClassInfo]) -> str:
    known = [(share, label) for label, share in enumerate(score.per_class) if not math.isnan(share)]
    rows = []
    for share, label in sorted(known)[:_WORST]:
        if share >= 1:
            break
        other = score.taken_for[label]
        taken = f", taken for {escape(classes[other].name)}" if other >= 0 else ""
        rows.append(f"<li>{escape(classes[label].name)}: {percent(share, 0)}{taken}</li>")
    if not rows:
        return ""
    return f'<p class="ds-hint">Least recognised:</p><ul class="ds-worst">{"".join(rows)}</ul>'
