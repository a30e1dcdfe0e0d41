"""What the benchmarks' commands share: figures on the terminal, a busy machine, whole numbers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from dait.errors import UserError
from dait.storage.processors import processors


def print_figure(name: str, value: Any) -> None:
    """One figure on a line of its own, at once: a benchmark takes minutes."""
    shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
    print(f"{name:<24}{shown:>16}", flush=True)


def print_figures(figures: Mapping[str, Any]) -> None:
    """A line for each figure."""
    for name, value in figures.items():
        print_figure(name, value)


def print_end(figures: Mapping[str, Any], as_json: bool, trust: str = "") -> int:
    """The line of JSON, if it was asked for, and the exit code 0.

    trust: what to rely on where the machine's ``load`` is above its processors, which is then said.
    """
    if trust and figures["load"] > processors():
        print(f"The machine is busy with other work: {trust}.")
    if as_json:
        print(json.dumps(figures))
    return 0


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def require_positive(args: argparse.Namespace, *names: str) -> None:
    """Raises ``UserError`` for an option below 1."""
    for name in names:
        if getattr(args, name) < 1:
            raise UserError(f"--{name} is a number from 1, not {getattr(args, name)}.")
