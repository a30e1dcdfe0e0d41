"""How the command line lays out what it prints: columns, and paragraphs of 100 characters."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
_FIGURE = re.compile(r"[-+−]?\d|-$")


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = (), indent: int = 0) -> list[str]:
    """Lines of cells in columns as wide as they need to be, two spaces apart.

    Columns of figures stand to the right, all others to the left. ``indent`` is in characters.
    """
    body = [[str(cell) for cell in row] for row in rows]
    lines = [list(head), *body] if head else body
    if not lines:
        return []
    columns = range(max(map(len, lines)))
    filled = [[*line, *[""] * (len(columns) - len(line))] for line in lines]
    widths = [max(len(line[column]) for line in filled) for column in columns]
    right = [_are_figures(row[column] for row in body if column < len(row)) for column in columns]
    return [
        " " * indent
        + "  ".join(
            line[column].rjust(widths[column])
            if right[column]
            else line[column].ljust(widths[column])
            for column in columns
        ).rstrip()
        for line in filled
    ]


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; nothing where there are none."""
    for line in lines:
        print(line)


def paragraph(text: str, indent: str = "", hanging: str = "") -> None:
    """Print a text in lines of 100 characters; ``hanging`` indents all but the first further."""
    wrapped = textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
        break_long_words=False,
    )
    print(wrapped)


def _are_figures(cells: Iterable[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_FIGURE.match(cell) for cell in filled)
