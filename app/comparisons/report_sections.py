"""Sections of the report on the page, of any studies and runs.

Ids may come from a browser: wrong ones raise ``UserError``. What was written last is kept.
No page here.
"""

from __future__ import annotations

import csv
import io
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from app.comparisons.cache import Comparisons
from app.config import PROJECT, AppConfig
from app.server.loader import engine
from app.studies.entries import finished_studies, open_study
from app.ui.tables import table_html
from app.ui.templates import render
from dait.errors import UserError
from dait.events import Emit
from dait.evidence.comparison import Comparison
from dait.evidence.figures.layout import ink
from dait.evidence.palette import run_look, with_opacity
from dait.runs.folder import StudyFolder

if TYPE_CHECKING:
    from dait.evidence.report.inputs import ReportInputs

MOST = 12
"""Studies and runs in a table: more cannot be read side by side."""
KEPT = 48
SWEEPS = "*/sweep.jsonl"
"""Logs of sweeps in the runs folder."""

Block = dict[str, Any]
"""A block of a section (``dait.evidence.report.section``) with one figure of its several."""


class ReportSections:
    """The report's sections, of the studies and runs of one app.

    Chosen are studies by their ids, and runs as ``STUDY/RUN``.
    """

    def __init__(self, config: AppConfig, comparisons: Comparisons) -> None:
        self.config, self.comparisons = config, comparisons
        self._kept: OrderedDict[tuple[Any, ...], list[Block]] = OrderedDict()
        self._inputs: OrderedDict[tuple[Any, ...], ReportInputs] = OrderedDict()

    def choices(self) -> list[tuple[str, str]]:
        """(label, value) of every finished study, each followed by its runs."""
        found = []
        for entry in finished_studies(self.config):
            found.append((entry.title, entry.id))
            for run in open_study(self.config, entry.id).runs():
                name = run.path.name
                found.append((f"{entry.title}: {run_look(name).title}", f"{entry.id}/{name}"))
        return found

    def checked(self, chosen: object) -> tuple[str, ...]:
        """What a visitor chose, each once."""
        values = chosen if isinstance(chosen, (list, tuple)) else ()
        found = tuple(dict.fromkeys(str(value) for value in values))
        for value in found:
            self.folder(value)
        if len(found) > MOST:
            raise UserError(f"At most {MOST} studies and runs stand side by side; remove some.")
        return found

    def folder(self, value: str) -> Path:
        """The folder of a study or a run."""
        study, _, name = value.partition("/")
        folder = open_study(self.config, study)
        if not name:
            return folder.path
        for run in folder.runs():
            if run.path.name == name:
                return run.path
        raise UserError(f"There is no run called {name[:80]!r} in {study}. Choose another one.")

    def words(self, value: str) -> str:
        """Its folder in a command: from the project's folder, or by its place in the runs."""
        path = self.folder(value)
        if path.is_relative_to(PROJECT):
            return str(path.relative_to(PROJECT))
        return f"{self.config.runs.path.name}/{value}"

    def blocks(
        self, key: str, chosen: tuple[str, ...], seed: int | None, columns: int
    ) -> list[Block]:
        """What a section says, with figures for so many columns.

        seed: whose networks are shown of a study that stands alone.
        """
        narrow, alone = columns == 1, seed if len(chosen) == 1 else None
        of = (chosen, tuple(self._updated(value) for value in chosen), alone)
        kept = (key, *of, narrow)
        if kept not in self._kept:
            if of not in self._inputs:
                self._inputs[of] = self._gather(chosen, alone)
            sweeps = sorted(self.config.runs.path.glob(SWEEPS))
            section = engine().exhibit(key, self._inputs[of], sweeps)
            self._kept[kept] = [_plain(block, narrow) for block in section.blocks]
        for cache, most in ((self._kept, KEPT), (self._inputs, 4)):
            while len(cache) > most:
                cache.popitem(last=False)
        return self._kept[kept]

    def csv(self, key: str, number: object, chosen: tuple[str, ...], seed: int | None) -> str:
        """The data of a figure or table of a section."""
        blocks = self.blocks(key, chosen, seed, 3)
        if isinstance(number, int) and 0 <= number < len(blocks):
            block = blocks[number]
            if block["kind"] == "chart":
                return engine().figure_csv(block["figure"])
            if block["kind"] == "table":
                return _table_csv(block)
        raise UserError("There is no such figure; choose another one.")

    def page(self, chosen: tuple[str, ...], emit: Emit) -> str:
        """The whole report as one HTML file. What is not kept is measured, which takes a while."""
        return engine().report_page([self.folder(value) for value in chosen], emit)

    def _gather(self, chosen: Sequence[str], seed: int | None) -> ReportInputs:
        def opened(folder: StudyFolder) -> Comparison:
            return self.comparisons.get(folder.path.name, seed).comparison

        return engine().report_inputs([self.folder(value) for value in chosen], opened)

    def _updated(self, value: str) -> object:
        return open_study(self.config, value.partition("/")[0]).status().get("updated")


def shown_blocks(blocks: Sequence[Block]) -> list[Block]:
    """Blocks as ``report_blocks.html`` renders them."""
    return [_rendered(block, number) for number, block in enumerate(blocks)]


def _plain(block: Block, narrow: bool) -> Block:
    """A block of a section with one figure of its several, in the ink of a page of any theme."""
    if block["kind"] != "chart":
        return block
    data = block["data"]
    figure = str(data["narrow-data" if narrow and "narrow-data" in data else "wide-data"])
    light, unknown = (with_opacity(ink(dark), 1).rpartition(",")[0] for dark in (False, None))
    figure = figure.replace(ink(False), ink(None)).replace(light, unknown)
    return {key: value for key, value in block.items() if key != "data"} | {"figure": figure}


def _rendered(block: Block, number: int) -> Block:
    if block["kind"] != "table":
        return {**block, "number": number}
    first, *names = block["names"]
    body = [
        (
            render("coloured_name", colour=colour, title=cells[0][0], small=cells[0][1]),
            [tuple(cell) for cell in cells[1:]],
        )
        for colour, cells in block["rows"]
    ]
    html = table_html(block["caption"], first, names, body)
    return {"kind": "table", "number": number, "html": Markup(html)}


def _table_csv(block: Block) -> str:
    """Every cell's text, and its second line in a column of its own where any row has one."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    rows = [cells for _, cells in block["rows"]]
    second = [any(cells[at][1] for cells in rows) for at in range(len(block["names"]))]
    names = zip(block["names"], second, strict=True)
    writer.writerow([word for name, two in names for word in ([name, f"{name}: more"][: 1 + two])])
    for cells in rows:
        pairs = zip(cells, second, strict=True)
        writer.writerow([text for cell, two in pairs for text in list(cell)[: 1 + two]])
    return file.getvalue()
