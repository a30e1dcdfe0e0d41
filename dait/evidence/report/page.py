"""The page around the sections: one file that asks for nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from plotly.offline import get_plotlyjs

from dait.evidence.figures.layout import ink
from dait.evidence.palette import with_opacity
from dait.evidence.report.sheet import Sheet
from dait.evidence.report.wording import escape


def page(title: str, lead: str, sheets: Sequence[Sheet], made: str) -> str:
    """The whole document. lead: a line under the title; made: how and when it was made."""
    shown = [sheet for sheet in sheets if not sheet.empty]
    contents = "".join(
        f'<li><a href="#{sheet.key}">{escape(sheet.title)}</a></li>' for sheet in shown
    )
    body = "".join(sheet.html for sheet in shown)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_file("page.css")}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main><noscript><p class="missing">The figures are drawn by the script in this page; without it
their captions, the tables and the pictures are here.</p></noscript>{body}</main>
<footer><p>{escape(made)}</p></footer>
<script type="application/json" id="theme-colours">{json.dumps(_theme_colours())}</script>
<script>{get_plotlyjs()}</script>
<script>{_file("page.js")}</script>
</body>
</html>
"""


def _theme_colours() -> list[tuple[str, str]]:
    """Every colour of text in a light figure, and what stands for it on a dark page."""
    light, dark = ink(False), ink(True)
    # with_opacity writes "rgba(r, g, b, a)": all but the opacity is replaced.
    halves = (with_opacity(colour, 1).rpartition(",")[0] for colour in (light, dark))
    return [(light, dark), (next(halves), next(halves))]


def _file(name: str) -> str:
    return files("dait.evidence.report").joinpath(name).read_text(encoding="utf-8")
