"""The page around the sections: one file that needs no network and no other file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dait.evidence.figures.layout import ink
from dait.evidence.palette import with_opacity
from dait.evidence.report.section import Section


def page(title: str, lead: str, sections: Sequence[Section], made: str) -> str:
    """The whole document. lead: a line under the title; made: how and when it was made."""
    environment = Environment(
        loader=PackageLoader("dait.evidence.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        lead=lead,
        sections=[section for section in sections if section.blocks],
        made=made,
        css=_file("page.css"),
        script=_file("page.js"),
        plotly=Markup(get_plotlyjs()),
        theme_colours=Markup(json.dumps(_theme_colours())),
    )


def _theme_colours() -> list[tuple[str, str]]:
    """Every colour of text in a light figure, and its counterpart on a dark page."""
    light, dark = ink(False), ink(True)
    # with_opacity writes "rgba(r, g, b, a)": all but the opacity is replaced.
    halves = (with_opacity(colour, 1).rpartition(",")[0] for colour in (light, dark))
    return [(light, dark), (next(halves), next(halves))]


def _file(name: str) -> Markup:
    return Markup(files("dait.evidence.report").joinpath(name).read_text(encoding="utf-8"))
