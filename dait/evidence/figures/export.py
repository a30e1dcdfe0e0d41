"""A figure as a file of its own: a page that needs nothing else, its data, a picture."""

from __future__ import annotations

import html
import json
from importlib.util import find_spec

import plotly.graph_objects as go
import plotly.io

from dait.errors import UserError
from dait.evidence.figures.layout import ink
from dait.evidence.figures.rows import figure_csv

FORMATS: dict[str, str] = {"html": "HTML page", "csv": "CSV table", "png": "PNG", "svg": "SVG"}
"""What a figure can be saved as: the ending of the file, and its name for people."""

PICTURE_WIDTH = 1200
"""Pixels across; a PNG has twice as many."""
_SECONDS = 60
_PAPER = "#FFFFFF"


def export_figure(figure: go.Figure, kind: str, title: str) -> bytes:
    """The content of a file that holds the figure, with dark ink on white.

    kind: a key of ``FORMATS``; title: the page's, not used by the others. Raises ``UserError`` for
    another kind, and for a picture where kaleido or a browser for it is not there.
    """
    if kind == "html":
        return figure_html(figure, title).encode()
    if kind == "csv":
        # The mark tells spreadsheets that this is UTF-8.
        return figure_csv(figure).encode("utf-8-sig")
    if kind in ("png", "svg"):
        return figure_picture(figure, kind)
    raise UserError(f"A figure cannot be saved as {kind!r}; choose one of {', '.join(FORMATS)}.")


def figure_html(figure: go.Figure, title: str) -> str:
    """A page with the living figure and plotly.js inside it: it asks for nothing else."""
    plot = plotly.io.to_html(
        on_paper(figure),
        full_html=False,
        include_plotlyjs=True,
        config={"displaylogo": False, "responsive": True},
    )
    name = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{name}</title></head>\n'
        f'<body style="margin: 16px; background: {_PAPER}; color: {ink(False)}; '
        f'font-family: system-ui, sans-serif"><h1 style="font-size: 1.1rem">{name}</h1>\n'
        f"{plot}\n</body></html>\n"
    )


def figure_picture(figure: go.Figure, kind: str) -> bytes:
    """``png`` or ``svg`` of the figure, drawn by kaleido in a Chromium of its own (seconds).

    Raises ``UserError``, with what to install, where one of the two is not there.
    """
    if find_spec("kaleido") is None:
        raise UserError(
            "A picture of a figure needs the package kaleido: pip install -r "
            "requirements-optional.txt. An HTML page and a CSV table need nothing more."
        )
    import kaleido
    from kaleido.errors import BrowserFailedError, ChromeNotFoundError

    shown = on_paper(figure)
    size = {"width": PICTURE_WIDTH, "height": shown.layout.height or 450}
    scale = 2 if kind == "png" else 1
    try:
        drawn: bytes = kaleido.calc_fig_sync(
            shown.to_dict(),
            opts={"format": kind, **size, "scale": scale},
            # Without this the page that draws would ask the network for fonts of formulas.
            kopts={"mathjax": False, "timeout": _SECONDS},
        )
    except (ChromeNotFoundError, BrowserFailedError) as error:
        raise UserError(
            "A picture of a figure is drawn by Chrome or Chromium, and none could be started here: "
            "install one (apt install chromium). An HTML page and a CSV table need none."
        ) from error
    return drawn


def on_paper(figure: go.Figure) -> go.Figure:
    """The figure with dark ink on white, whatever page it was made for."""
    text = figure.to_json()
    for dark in (None, True):
        text = text.replace(ink(dark), ink(False))
    shown = go.Figure(json.loads(text))
    shown.update_layout(paper_bgcolor=_PAPER, plot_bgcolor=_PAPER)
    return shown
