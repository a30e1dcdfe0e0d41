"""The exhibits of the Paper tab as HTML, from ids and numbers that may come from a browser.

Wrong ones raise ``UserError``. No page here.
"""

from __future__ import annotations

import csv
import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from app.catalogue.sources import FIELD_GUIDE
from app.comparisons.cache import Comparisons, OpenComparison
from app.comparisons.heatmap_row import Picture, row_html
from app.config import PROJECT, AppConfig
from app.paper.exhibits import EXHIBITS, STUDIES, STUDY, Exhibit
from app.pipeline.diagram import pipeline_html
from app.pipeline.facts import pipeline_of_study
from app.server.loader import engine
from app.studies.entries import open_study
from app.ui.tables import table_html
from app.ui.templates import render
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.evidence.figures.layout import ink
from dait.evidence.heatmaps.explanation import Question
from dait.evidence.palette import with_opacity
from dait.runs.folder import StudyFolder

if TYPE_CHECKING:
    from dait.evidence.report.inputs import ReportInputs

MOST_STUDIES = 12
"""Studies in a table: more cannot be read side by side."""
OF_ONE_STUDY = ("localisation", "features")
KEPT_CHOICES = 6
SWEEPS = "*/sweep.jsonl"
"""Logs of sweeps in the runs folder."""

Block = dict[str, Any]
Choice = tuple[str, int | None, tuple[str, ...]]
"""The page's study and seed, and the studies of the tables."""


class PaperViews:
    """The exhibits of one app. What was written last is kept."""

    def __init__(self, config: AppConfig, comparisons: Comparisons) -> None:
        self.config, self.comparisons = config, comparisons
        self._kept: OrderedDict[tuple[Any, ...], list[Block]] = OrderedDict()

    def exhibits(
        self, study: object, seed: int | None, others: object, columns: int
    ) -> Iterator[tuple[str, str]]:
        """(key, HTML) of every exhibit, one after the other. An exhibit that cannot be made says
        why; the others are made."""
        choice = self._choice(study, seed, others)
        inputs: dict[tuple[str, ...], ReportInputs] = {}
        for exhibit in EXHIBITS:
            try:
                blocks = self._blocks(exhibit.key, choice, columns, inputs)
                row = self._row(exhibit.key, choice)
            except UserError as error:
                blocks, row = [{"kind": "missing", "text": str(error)}], ""
            yield exhibit.key, self._html(exhibit, choice, blocks, row)

    def block_csv(
        self, key: str, number: object, study: object, seed: int | None, others: object
    ) -> tuple[str, str]:
        """A name, and the data of a figure or table of an exhibit as CSV."""
        choice = self._choice(study, seed, others)
        blocks = self._blocks(key, choice, 3, {})
        if not isinstance(number, int) or not 0 <= number < len(blocks):
            raise UserError("There is no such figure; choose another one.")
        block = blocks[number]
        name = f"{choice[0]}-{key}-{number + 1}.csv"
        if block["kind"] == "chart":
            return name, engine().figure_csv(block["figure"])
        if block["kind"] == "table":
            return name, _table_csv(block)
        raise UserError("There is no data behind this; choose another figure.")

    def _choice(self, study: object, seed: int | None, others: object) -> Choice:
        chosen = [open_study(self.config, one).path.name for one in _listed(others)]
        first = open_study(self.config, study).path.name
        if len(chosen) > MOST_STUDIES:
            raise UserError(f"At most {MOST_STUDIES} studies stand side by side; remove some.")
        return first, seed, tuple(dict.fromkeys(chosen or [first]))

    def _folder(self, study: str) -> StudyFolder:
        return open_study(self.config, study)

    def _blocks(
        self,
        key: str,
        choice: Choice,
        columns: int,
        known: dict[tuple[str, ...], ReportInputs],
    ) -> list[Block]:
        """What the section of the report says, with figures for so many columns."""
        if key == "pipeline":
            return []
        study, seed, others = choice
        studies = (study,) if key in OF_ONE_STUDY else others
        updated = tuple(self._folder(one).status().get("updated") for one in studies)
        narrow = columns == 1
        kept = (key, studies, updated, seed if key in OF_ONE_STUDY else None, narrow)
        if kept not in self._kept:
            if studies not in known:
                known[studies] = self._inputs(studies, seed if studies == (study,) else None)
            section = engine().exhibit(key, known[studies], self._sweeps())
            self._kept[kept] = [_plain(block, narrow) for block in section.blocks]
            while len(self._kept) > KEPT_CHOICES * len(EXHIBITS):
                self._kept.popitem(last=False)
        return self._kept[kept]

    def _inputs(self, studies: Sequence[str], seed: int | None) -> ReportInputs:
        def opened(folder: StudyFolder) -> Comparison:
            return self.comparisons.get(folder.path.name, seed).comparison

        return engine().report_inputs([self._folder(one).path for one in studies], opened)

    def _sweeps(self) -> list[Path]:
        """Logs of the visitor's own sweeps."""
        return sorted(self.config.runs.path.glob(SWEEPS))

    def _row(self, key: str, choice: Choice) -> str:
        """What an exhibit shows besides a section of the report."""
        study, seed, _ = choice
        if key == "pipeline":
            return pipeline_html(pipeline_of_study(self._folder(study), self.config.paths))
        if key == "localisation":
            return _heatmaps(self.comparisons.get(study, seed))
        return ""

    def _html(self, exhibit: Exhibit, choice: Choice, blocks: Sequence[Block], row: str) -> str:
        study, _, others = choice
        shown = [_rendered(block, number) for number, block in enumerate(blocks)]
        if not row and not any(block["kind"] in ("chart", "table") for block in blocks):
            shown.append({"kind": "missing", "text": exhibit.nothing})
        command = exhibit.command.replace(STUDIES, " ".join(map(self._words, others)))
        tab, at, text = exhibit.opens
        return render(
            "paper_section",
            key=f"paper-{exhibit.key}",
            kicker=exhibit.kicker,
            title=exhibit.title,
            claim=exhibit.claim,
            row=Markup(row),
            blocks=shown,
            command=command.replace(STUDY, self._words(study)),
            opens={"tab": tab, "at": at, "text": text},
        )

    def _words(self, study: str) -> str:
        """A study's folder in a command: from the project's folder, or by its place in the runs."""
        path = self._folder(study).path
        if path.is_relative_to(PROJECT):
            return str(path.relative_to(PROJECT))
        return f"{path.parent.name}/{path.name}"


def _heatmaps(opened: OpenComparison) -> str:
    """The most disputed test image under every network."""
    comparison = opened.comparison
    if comparison.recipe.data.source != FIELD_GUIDE:
        engine()  # some readers of photographs import it
    index = comparison.example()
    image = opened.image(index)
    truth = int(comparison.labels[index])
    name = f"Test image {index}, seed {comparison.seed}, the one that its students dispute most"
    picture = Picture(image, image, truth, name, index)
    return row_html(picture, opened.row(image, Question()), comparison.classes)


def _listed(values: object) -> Sequence[Any]:
    return values if isinstance(values, (list, tuple)) else ()


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
