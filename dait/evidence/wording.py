"""Numbers as tables and sentences of the report and of the page show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

UNKNOWN = "–"
_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

Spread = Mapping[str, float | None]
"""``mean``, and ``sd`` over the seeds (None for one seed)."""


def percent(fraction: float | None, digits: int = 1) -> str:
    """0.4237 → ``42.4 %`` that is not broken over lines; None → a dash."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f}\u00a0%"


def points(difference: float | None) -> str:
    """A difference of two fractions in percentage points, with its sign: ``+3.2``."""
    if difference is None:
        return UNKNOWN
    rounded = f"{100 * difference:+.1f}"
    return "±0.0" if float(rounded) == 0 else rounded.replace("-", "−")


def spread(value: Spread | None) -> str:
    """``31.2 % ± 3.2``; without the deviation where there is one seed."""
    if value is None:
        return UNKNOWN
    return percent(value["mean"]) + _deviation(value)


def gain(value: Spread | None) -> str:
    """``+3.2 ± 1.0``, in percentage points."""
    return UNKNOWN if value is None else points(value["mean"]) + _deviation(value)


def interval(bounds: Sequence[float] | None) -> str:
    """``28.1 to 34.0 %``; empty where it is not known."""
    return "" if not bounds else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}\u00a0%"


def p_value(p: float | None) -> str:
    """A p-value as papers write it; Holm's correction stops at 1, which no test says."""
    if p is None:
        return UNKNOWN
    if p > 0.99:
        return ">\u00a00.99"
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_is(p: float | None) -> str:
    """A p-value inside a sentence: ``p = 0.04``, ``p < 0.001``, ``p > 0.99``."""
    text = p_value(p)
    return f"p\u00a0{text}" if text[0] in "<>" else f"p\u00a0=\u00a0{text}"


def plain(value: float | None) -> str:
    """Three decimals and a true minus; NaN is not known."""
    return UNKNOWN if value is None or value != value else f"{value:.3f}".replace("-", "−")


def count(number: float | None) -> str:
    """1234567 → ``1.23 M``: three significant digits."""
    if number is None:
        return UNKNOWN
    for size, letter in _LARGE:
        if number >= size:
            return f"{three_digits(number / size)}\u00a0{letter}"
    return f"{number:g}"


def three_digits(value: float) -> str:
    """123.4 → ``123``, 1.234 → ``1.23``."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def seeds(numbers: Sequence[int]) -> str:
    """``seed 0``, ``seeds 0, 1 and 2``."""
    return f"seed{'s' if len(numbers) > 1 else ''} {listed([str(number) for number in numbers])}"


def _deviation(value: Spread) -> str:
    return "" if value["sd"] is None else f"\u00a0±\u00a0{100 * value['sd']:.1f}"
