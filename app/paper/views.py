"""The exhibits of the Paper tab as HTML, from ids and numbers that may come from a browser.

Wrong ones raise ``UserError``. No page here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from app.catalogue.sources import FIELD_GUIDE
from app.comparisons.cache import OpenComparison
from app.comparisons.heatmap_row import Picture, row_html
from app.comparisons.report_sections import Block, ReportSections, shown_blocks
from app.paper.exhibits import EXHIBITS, STUDIES, STUDY, Exhibit
from app.pipeline.diagram import pipeline_html
from app.pipeline.facts import pipeline_of_study
from app.server.loader import engine
from app.studies.entries import open_study
from app.ui.templates import render
from dait.errors import UserError
from dait.evidence.heatmaps.explanation import Question

OF_ONE_STUDY = ("localisation", "features")

Choice = tuple[str, int | None, tuple[str, ...]]
"""The page's study and seed, and the studies of the tables."""


class PaperViews:
    """The exhibits of one app."""

    def __init__(self, sections: ReportSections) -> None:
        self.sections = sections
        self.config, self.comparisons = sections.config, sections.comparisons

    def exhibits(
        self, study: object, seed: int | None, others: object, columns: int
    ) -> Iterator[tuple[str, str]]:
        """(key, HTML) of every exhibit, one after the other. An exhibit that cannot be made says
        why; the others are made."""
        choice = self._choice(study, seed, others)
        for exhibit in EXHIBITS:
            try:
                blocks = self._blocks(exhibit.key, choice, columns)
                row = self._row(exhibit.key, choice)
            except UserError as error:
                blocks, row = [{"kind": "missing", "text": str(error)}], ""
            yield exhibit.key, self._html(exhibit, choice, blocks, row)

    def block_csv(
        self, key: str, number: object, study: object, seed: int | None, others: object
    ) -> tuple[str, str]:
        """A name, and the data of a figure or table of an exhibit as CSV."""
        choice = self._choice(study, seed, others)
        content = self.sections.csv(key, number, _of(key, choice), seed)
        return f"{choice[0]}-{key}-{number}.csv", content

    def _choice(self, study: object, seed: int | None, others: object) -> Choice:
        first = open_study(self.config, study).path.name
        return first, seed, self.sections.checked(others) or (first,)

    def _blocks(self, key: str, choice: Choice, columns: int) -> list[Block]:
        if key == "pipeline":
            return []
        return self.sections.blocks(key, _of(key, choice), choice[1], columns)

    def _row(self, key: str, choice: Choice) -> str:
        """What an exhibit shows besides a section of the report."""
        study, seed, _ = choice
        if key == "pipeline":
            return pipeline_html(
                pipeline_of_study(open_study(self.config, study), self.config.paths)
            )
        if key == "localisation":
            return _heatmaps(self.comparisons.get(study, seed))
        return ""

    def _html(self, exhibit: Exhibit, choice: Choice, blocks: Sequence[Block], row: str) -> str:
        study, _, others = choice
        shown = shown_blocks(blocks)
        if not row and not any(block["kind"] in ("chart", "table") for block in blocks):
            shown.append({"kind": "missing", "text": exhibit.nothing})
        command = exhibit.command.replace(STUDIES, " ".join(map(self.sections.words, others)))
        tab, at, text = exhibit.opens
        return render(
            "paper_section",
            key=f"paper-{exhibit.key}",
            kicker=exhibit.kicker,
            title=exhibit.title,
            claim=exhibit.claim,
            row=Markup(row),
            blocks=shown,
            command=command.replace(STUDY, self.sections.words(study)),
            opens={"tab": tab, "at": at, "text": text},
        )


def _of(key: str, choice: Choice) -> tuple[str, ...]:
    study, _, others = choice
    return (study,) if key in OF_ONE_STUDY else others


def _heatmaps(opened: OpenComparison) -> str:
    """The most disputed test image under every network."""
    comparison = opened.comparison
    if comparison.recipe.data.source != FIELD_GUIDE:
        engine()  # some readers of photographs import it
    index = comparison.example()
    image = opened.image(index)
    truth = int(comparison.labels[index])
    name = f"Test image {index}, networks of seed {comparison.seed}"
    if comparison.disputed():
        name += ", the image on which the students’ answers differ most"
    picture = Picture(image, image, truth, name, index)
    return row_html(picture, opened.row(image, Question()), comparison.classes)
