"""Plotly figures in a page that stays alive: one HTML component each, drawn by ``plot.js``.

``gr.Plot`` draws anew with every value and loses the zoom; this keeps the figure and calls
``Plotly.react``. The library is the one inside the plotly package, served from there, so the page
asks nobody else for anything.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.ui.wording import escape

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SCRIPT = Path(__file__).with_name("plot.js")


WIDE = 1280
"""Pixels of a window whose width is not known yet."""


def panel_columns(width: object) -> int:
    """Panels side by side in a window of so many pixels, a figure that the browser gives."""
    pixels = width if isinstance(width, (int, float)) else WIDE
    return 1 if pixels < 620 else 2 if pixels < 1000 else 3


def plotly_script() -> Path:
    """``plotly.min.js`` inside the installed plotly package (found without importing it)."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed: pip install -r requirements.txt")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def plot_head() -> str:
    """What the page's head needs for ``plot_box`` to work."""
    script = _SCRIPT.read_text(encoding="utf-8")
    address = f"gradio_api/file={plotly_script().as_posix()}"
    return f"<script>{script.replace('PLOTLY_ADDRESS', escape(address))}</script>"


def plot_box(alt: str, height: int, marks: str = "", **settings: Any) -> gr.HTML:
    """An empty place for a figure. ``alt``: what it shows, for people who cannot see it.

    height: pixels that are kept free until the first figure comes, so that nothing jumps. Its
    value is a figure's JSON (``figure_json``), or None. marks: ``cells`` or ``points`` that can be
    pressed: then ``select`` has ``panel``, the trace's number, and ``data``, the mark's own; of
    points ``focus`` has the ``index`` of the one whose picture is wanted (see ``linked.js``).
    """
    return gr.HTML(
        value=None,
        html_template=(
            '<div class="plot-frame"><div class="plot-box" role="figure" '
            f'aria-label="{escape(alt)}" data-marks="{escape(marks)}" '
            f'style="min-height: {height}px"></div>'
            '<div class="ds-rings" aria-hidden="true"></div></div>'
        ),
        js_on_load="window.daitPlot(element, props, watch, trigger);",
        apply_default_css=False,
        **settings,
    )


def figure_json(figure: go.Figure) -> str:
    """The value of a ``plot_box``."""
    return str(figure.to_json())
