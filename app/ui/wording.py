"""Numbers, times and states as text for people."""

from __future__ import annotations

import time

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
UNKNOWN = "–"

_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def state_word(state: str) -> str:
    """``training`` → ``Training``; an unknown state is shown unchanged."""
    return STATES.get(state, state)


def percent(fraction: float | None, digits: int = 1) -> str:
    """0.4237 → ``42.4 %`` with a no-break space; None → a dash."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f}\u00a0%"


def points(difference: float | None) -> str:
    """A difference of two fractions in percentage points, with its sign: ``+3.2``."""
    if difference is None:
        return UNKNOWN
    rounded = f"{100 * difference:+.1f}"
    return "±0.0" if float(rounded) == 0 else rounded.replace("-", "−")


def p_value(p: float | None) -> str:
    """A p-value as papers print it."""
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def count(number: float | None) -> str:
    """1234567 → ``1.23 M``: three significant digits."""
    if number is None:
        return UNKNOWN
    for size, letter in _LARGE:
        if number >= size:
            return f"{_three_digits(number / size)} {letter}"
    return f"{number:g}"


def megabytes(size_bytes: float | None) -> str:
    """Bytes as MB (10⁶ bytes)."""
    return UNKNOWN if size_bytes is None else f"{_three_digits(size_bytes / 1e6)} MB"


def milliseconds(value: float | None) -> str:
    """A latency, three significant digits."""
    return UNKNOWN if value is None else f"{_three_digits(value)} ms"


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


def listed(words: list[str]) -> str:
    """``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
