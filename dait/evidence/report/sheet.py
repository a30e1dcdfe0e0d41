"""A section as it is written: headings, sentences, tables, figures and pictures, as HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dait.errors import without_paths
from dait.evidence.palette import arm_colour
from dait.evidence.report.wording import escape

WIDE, NARROW = 3, 1
"""Panels side by side on a desk's screen, and on a phone's."""

Cell = str | tuple[str, str]
"""Plain text, or text and a smaller second line."""


class Sheet:
    """One section of the report. Everything that is handed in is plain text and is escaped here;
    sentences lose the paths of this machine, for a report is handed on.

    key: its address in the page; title: its heading.
    """

    def __init__(self, key: str, title: str) -> None:
        self.key, self.title = key, title
        self._parts: list[str] = []
        self._figures = 0

    @property
    def html(self) -> str:
        """The section, whole."""
        return (
            f'<section id="{self.key}"><h2>{escape(self.title)}</h2>{"".join(self._parts)}'
            "</section>"
        )

    @property
    def empty(self) -> bool:
        """Whether nothing was written."""
        return not self._parts

    def heading(self, text: str) -> None:
        """A heading below the section's own."""
        self._parts.append(f"<h3>{escape(text)}</h3>")

    def say(self, text: str) -> None:
        """A paragraph."""
        self._parts.append(f"<p>{escape(without_paths(text))}</p>")

    def miss(self, text: str) -> None:
        """A sentence about something that is not here."""
        self._parts.append(f'<p class="missing">{escape(without_paths(text))}</p>')

    def items(self, texts: Sequence[str]) -> None:
        """A list of sentences."""
        rows = "".join(f"<li>{escape(without_paths(text))}</li>" for text in texts)
        self._parts.append(f"<ul>{rows}</ul>")

    def code(self, text: str, title: str = "") -> None:
        """Commands, or with a title a longer text that is folded away."""
        block = f"<pre><code>{escape(text)}</code></pre>"
        if title:
            block = f"<details><summary>{escape(title)}</summary>{block}</details>"
        self._parts.append(block)

    def table(
        self,
        caption: str,
        names: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        roles: Sequence[str] = (),
    ) -> None:
        """A table whose first column names the rows; on a phone every row becomes a card.

        roles: an arm for each row, whose colour marks it.
        """
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
        body = []
        for place, (first, *cells) in enumerate(rows):
            dot = _dot(roles[place]) if roles else ""
            columns = "".join(
                f'<td data-name="{escape(name)}"><span>{_cell(cell)}</span></td>'
                for name, cell in zip(names[1:], cells, strict=True)
            )
            body.append(f'<tr><th scope="row">{dot}{_cell(first)}</th>{columns}</tr>')
        self._parts.append(
            f'<div class="wide"><table><caption>{escape(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        )

    def figure(self, shown: go.Figure, alt: str, caption: str) -> None:
        """A Plotly figure in light colours, the same on every screen.

        alt: what it shows, for who cannot see it; caption: what it shows and what it does not.
        """
        if not shown.layout.annotations:  # a title would need the room
            shown.update_layout(margin={"t": 16})
        self._add(shown, None, alt, caption)

    def panels(self, draw: Callable[..., go.Figure], alt: str, caption: str) -> None:
        """As ``figure``; ``draw`` takes ``columns`` and ``dark``: a phone gets one column."""
        wide, narrow = (draw(columns=columns, dark=False) for columns in (WIDE, NARROW))
        self._add(wide, narrow, alt, caption)

    def _add(self, wide: go.Figure, narrow: go.Figure | None, alt: str, caption: str) -> None:
        self._figures += 1
        phone = "" if narrow is None else _data(narrow, "narrow-data")
        self._parts.append(
            f'<figure class="chart" id="{self.key}-figure-{self._figures}">'
            f'<div class="plot" role="img" aria-label="{escape(alt)}" '
            f'style="min-height: {int(wide.layout.height)}px"></div>'
            f"{_data(wide, 'wide-data')}{phone}<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def pictures(self, title: str, cells: Sequence[Picture]) -> None:
        """Pictures in a row, each with its caption."""
        row = "".join(cell.html for cell in cells)
        self._parts.append(f'<h4>{escape(title)}</h4><div class="row">{row}</div>')


class Picture:
    """A picture with a caption: ``(H, W, 3)`` uint8, or None where there is none."""

    def __init__(
        self, image: np.ndarray | None, alt: str, name: str, lines: Sequence[str], role: str = ""
    ) -> None:
        self.image, self.alt, self.name, self.lines, self.role = image, alt, name, lines, role

    @property
    def html(self) -> str:
        """As a figure of the page."""
        colour = f' style="border-top-color: {arm_colour(self.role)}"' if self.role else ""
        shown = '<div class="none">no picture</div>'
        if self.image is not None:
            shown = f'<img src="{picture_address(self.image)}" alt="{escape(self.alt)}">'
        lines = "".join(f"<span>{escape(without_paths(line))}</span>" for line in self.lines)
        return (
            f'<figure class="cell"{colour}>{shown}<figcaption><b>{escape(self.name)}</b>{lines}'
            "</figcaption></figure>"
        )


def picture_address(image: np.ndarray) -> str:
    """``(H, W, 3)`` uint8 as a ``data:`` address."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    text, small = cell
    return escape(text) + (f"<small>{escape(small)}</small>" if small else "")


def _dot(role: str) -> str:
    return f'<i class="dot" style="background: {arm_colour(role)}"></i>'


def _data(figure: go.Figure, name: str) -> str:
    # Inside a script element only "</" and "<!--" mean anything: no "<" is left to begin one.
    text = str(figure.to_json()).replace("<", "\\u003c")
    return f'<script type="application/json" class="{name}">{text}</script>'
