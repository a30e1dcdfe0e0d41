"""A section of the report: headings, sentences, tables, figures and pictures, to be rendered."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from PIL import Image

from dait.errors import without_paths
from dait.evidence.palette import arm_colour

WIDE, NARROW = 3, 1
"""Panels side by side on a desk's screen, and on a phone's."""

Cell = str | tuple[str, str]
"""Plain text, or text and a smaller second line."""


@dataclass(frozen=True)
class Picture:
    """A picture with a caption: ``(H, W, 3)`` uint8 and lines below its name.

    role: an arm, whose colour marks the picture.
    """

    image: np.ndarray
    alt: str
    name: str
    lines: Sequence[str]
    role: str = ""


class Section:
    """One section of the report, as blocks that ``page.html`` renders.

    All text is plain and escaped by the template; sentences lose the paths of this machine, because
    a report is passed on to others.

    key: its address in the page; title: its heading.
    """

    def __init__(self, key: str, title: str) -> None:
        self.key, self.title = key, title
        self.blocks: list[dict[str, Any]] = []
        self._figures = 0

    def heading(self, text: str) -> None:
        """A heading below the section's own."""
        self._add("heading", text=text)

    def paragraph(self, text: str) -> None:
        """A paragraph."""
        self._add("paragraph", text=without_paths(text))

    def missing(self, text: str) -> None:
        """A sentence about something that is not in the report."""
        self._add("missing", text=without_paths(text))

    def items(self, texts: Sequence[str]) -> None:
        """A list of sentences."""
        self._add("items", texts=[without_paths(text) for text in texts])

    def code(self, text: str, title: str = "") -> None:
        """Commands, or with a title a longer text that is folded away."""
        self._add("code", text=text, title=title)

    def table(
        self,
        caption: str,
        names: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        roles: Sequence[str] = (),
    ) -> None:
        """A table whose first column names the rows; on a phone every row becomes a card.

        roles: an arm for each row, whose colour marks it. Raises ``ValueError`` for a row without
        a cell for each of ``names``.
        """
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"{caption[:40]!r}: every row needs {len(names)} cells")
        cells = [[(cell, "") if isinstance(cell, str) else cell for cell in row] for row in rows]
        colours = [arm_colour(role) for role in roles] or [""] * len(rows)
        self._add(
            "table", caption=caption, names=names, rows=list(zip(colours, cells, strict=True))
        )

    def figure(self, shown: go.Figure, alt: str, caption: str) -> None:
        """A Plotly figure in light colours, the same on every screen.

        alt: what it shows, for screen readers; caption: what it shows and what it does not.
        """
        if not shown.layout.annotations:  # a title would need the room
            shown.update_layout(margin={"t": 16})
        self._chart({"wide-data": shown}, alt, caption)

    def panels(self, draw: Callable[..., go.Figure], alt: str, caption: str) -> None:
        """As ``figure``; ``draw`` takes ``columns`` and ``dark``: a phone gets one column."""
        wide, narrow = (draw(columns=columns, dark=False) for columns in (WIDE, NARROW))
        self._chart({"wide-data": wide, "narrow-data": narrow}, alt, caption)

    def pictures(self, title: str, cells: Sequence[Picture]) -> None:
        """Pictures in a row, each with its caption."""
        shown = [
            {
                "address": picture_address(cell.image),
                "alt": cell.alt,
                "name": cell.name,
                "lines": [without_paths(line) for line in cell.lines],
                "colour": arm_colour(cell.role) if cell.role else "",
            }
            for cell in cells
        ]
        self._add("pictures", title=title, cells=shown)

    def _chart(self, data: dict[str, go.Figure], alt: str, caption: str) -> None:
        self._figures += 1
        self._add(
            "chart",
            key=f"{self.key}-figure-{self._figures}",
            alt=alt,
            caption=caption,
            height=int(data["wide-data"].layout.height),
            data={name: _script(figure) for name, figure in data.items()},
        )

    def _add(self, kind: str, **block: Any) -> None:
        self.blocks.append({"kind": kind, **block})


def picture_address(image: np.ndarray) -> str:
    """``(H, W, 3)`` uint8 as a ``data:`` address."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _script(figure: go.Figure) -> Markup:
    # Inside a script element only "</" and "<!--" mean anything: no "<" is left to begin one.
    return Markup(str(figure.to_json()).replace("<", "\\u003c"))
