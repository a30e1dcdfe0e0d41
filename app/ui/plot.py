"""Plotly figures in a page that stays alive: one HTML component each, drawn by ``plot.js``.

``gr.Plot`` redraws with every value and loses the zoom; this keeps the figure and calls
``Plotly.react``. The library is the one inside the plotly package, served from there, so the page
loads nothing from other servers.
"""

from __future__ import annotations

from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.ui.templates import render

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SCRIPT, _REPORT_SCRIPT = (Path(__file__).with_name(name) for name in ("plot.js", "report.js"))
DRAW_REPORT = "window.daitReport(element, props, watch, trigger);"
"""``js_on_load`` of a ``gr.HTML`` with sections of a report in it. A press on ‘Data as CSV’ is its
event ``click``, with the ``index`` of the block."""


WIDE = 1280
"""A window's width in pixels, where it is not known yet."""


def panel_columns(width: object) -> int:
    """Panels side by side in a window of this width in pixels, which the browser sent."""
    pixels = width if isinstance(width, (int, float)) else WIDE
    return 1 if pixels < 620 else 2 if pixels < 1000 else 3


def plotly_script() -> Path:
    """``plotly.min.js`` inside the installed plotly package (found without importing it)."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed: pip install -r requirements.txt")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def plot_head() -> str:
    """What the page's head needs for ``plot_box`` and ``DRAW_REPORT`` to work."""
    script = "\n".join(file.read_text(encoding="utf-8") for file in (_SCRIPT, _REPORT_SCRIPT))
    address = f"gradio_api/file={plotly_script().as_posix()}"
    return f"<script>{script.replace('PLOTLY_ADDRESS', escape(address))}</script>"


def plot_box(alt: str, height: int, marks: str = "", **settings: Any) -> gr.HTML:
    """A place for a figure; its value is a figure's JSON (``figure_json``), or None.

    alt: what it shows, for screen readers. height: in pixels, kept free until the first figure
    comes, so that the page does not jump. marks: ``cells`` or ``points`` that can be pressed. Then
    the event ``select`` has ``panel`` (the trace's number) and ``data`` (the mark's customdata),
    and the event ``focus`` of a point has the ``index`` of its image (see ``linked.js``).
    """
    return gr.HTML(
        value=None,
        html_template=render("plot", alt=alt, marks=marks, height=height),
        js_on_load="window.daitPlot(element, props, watch, trigger);",
        apply_default_css=False,
        **settings,
    )


def figure_json(figure: go.Figure) -> str:
    """The value of a ``plot_box``."""
    return str(figure.to_json())
