"""Numbers, times and states as text for people."""

from __future__ import annotations

import re
import time

from markupsafe import Markup, escape

from dait.evidence.wording import (
    UNKNOWN,
    count,
    listed,
    p_value,
    percent,
    points,
    three_digits,
)
from dait.evidence.wording import seeds as seed_words

__all__ = [
    "STATES",
    "UNKNOWN",
    "code",
    "count",
    "duration",
    "listed",
    "megabytes",
    "milliseconds",
    "moment",
    "ordinal",
    "p_value",
    "percent",
    "points",
    "seed_words",
    "state_word",
]

STATES: dict[str, str] = {
    "queued": "Queued",
    "preparing": "Preparing",
    "training": "Training",
    "evaluating": "Evaluating",
    "finished": "Finished",
    "failed": "Failed",
    "paused": "Paused",
    "stopped": "Stopped",
    "lost": "Lost",
    "damaged": "Damaged",
}
_CODE = re.compile(r"`([^`]+)`")
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def code(sentence: str) -> Markup:
    """The sentence as HTML, escaped, with what stands in backticks as code."""
    escaped = str(escape(sentence))  # a Markup would escape what is put into it
    return Markup(_CODE.sub(r"<code>\1</code>", escaped))


def state_word(state: str) -> str:
    """``training`` → ``Training``; an unknown state is shown unchanged."""
    return STATES.get(state, state)


def megabytes(size_bytes: float | None) -> str:
    """Bytes as MB (10⁶ bytes)."""
    return UNKNOWN if size_bytes is None else f"{three_digits(size_bytes / 1e6)} MB"


def milliseconds(value: float | None) -> str:
    """A latency, three significant digits."""
    return UNKNOWN if value is None else f"{three_digits(value)} ms"


def duration(seconds: float | None) -> str:
    """``less than a minute``, ``about 4 minutes``, ``about 2 hours``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 50:
        return "less than a minute"
    if seconds < 55 * 60:
        minutes = max(1, round(seconds / 60))
        return "about a minute" if minutes == 1 else f"about {minutes} minutes"
    hours = round(seconds / 1800) / 2
    return "about an hour" if hours == 1 else f"about {hours:g} hours"


def moment(unix_seconds: float | None) -> str:
    """A time to the minute, in the server's time zone."""
    if unix_seconds is None:
        return UNKNOWN
    return time.strftime("%d %b %Y, %H:%M", time.localtime(unix_seconds))


def ordinal(number: int) -> str:
    """1 → ``1st``, 12 → ``12th``, 23 → ``23rd``."""
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else _ENDINGS.get(number % 10, 'th')}"
