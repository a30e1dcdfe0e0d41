"""A data set as HTML and figures for the Data tab. No page here."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.data.reading import OpenDataset
from app.ui.notice import empty
from app.ui.pictures import picture_address
from app.ui.plot import figure_json
from app.ui.templates import render
from dait.data.base import ALL_SPLITS, SPLITS, UNLABELLED, Split, SplitName
from dait.data.inspection.report import DataReport
from dait.data.sources.catalogue import DatasetCard
from dait.errors import UserError
from dait.evidence import figures
from dait.evidence.palette import OTHER_COLOUR, SPLIT_COLOURS, SPLIT_TITLES

GRID_IMAGES = 48
MOST_LEAKS = 12
MOST_BAD = 200
ALL_CLASSES = -1
THUMBNAIL = 128
"""Side in pixels of a picture in the grid, at most."""


def about_html(title: str, card: DatasetCard | None, report: DataReport | None) -> str:
    """What is known of a data set: from its card before it is opened, then from its report."""
    facts = []
    if report is None and card is not None:
        sizes = ((card.classes, "classes"), (card.images, "images"))
        facts += [f"{number:,} {what}" for number, what in sizes if number]
        facts.append("on this machine" if card.available else "not on this machine yet")
    licence = report.licence if report is not None else card.licence if card else ""
    if licence:
        facts.append(f"Licence: {licence}")
    homepage = report.homepage if report is not None else card.homepage if card else ""
    return render(
        "dataset_card",
        title=title,
        description=card.description if card is not None else "",
        facts=facts,
        homepage=homepage if homepage.startswith(("https://", "http://")) else "",
    )


def report_html(report: DataReport) -> str:
    """The figures of a data set, then warnings and notes as sentences."""
    rows = [_tile("Classes", f"{len(report.classes):,}")]
    rows += [
        _tile(SPLIT_TITLES[name], f"{count:,}", SPLIT_COLOURS.get(name, OTHER_COLOUR))
        for name, count in report.counts.items()
    ]
    if report.sizes is not None:
        sizes = report.sizes
        small, middle, large = (
            f"{width} × {height}" for width, height in (sizes.smallest, sizes.median, sizes.largest)
        )
        spread = f"{small} to {large}" if small != large else "all the same"
        rows.append(_tile("Files, in pixels", middle, small=spread))
    lines = [_line("warning", "⚠", "Warning: ", text) for text in report.warnings]
    lines += [_line("", "ℹ", "Note: ", text) for text in report.notes]
    if not report.warnings:
        lines.insert(0, _line("good", "✓", "", "This data is ready for training."))
    return render("data_report", rows=rows, lines=lines)


def counts_figure(report: DataReport) -> str:
    """Images per class and split as a figure's JSON."""
    rows = [
        {"name": row.name, **{name: getattr(row, name) for name in SPLITS}}
        for row in report.classes
    ]
    return figure_json(figures.counts_bars(rows))


def problems_html(opened: OpenDataset) -> str:
    """Files that cannot be used, and images in two splits; empty if there are none."""
    return _bad_html(opened.report) + _leaks_html(opened)


def class_choices(opened: OpenDataset) -> list[tuple[str, int]]:
    """(name, label) for the filter of the grid."""
    names = [(info.name, label) for label, info in enumerate(opened.dataset.classes)]
    return [(f"All {len(names)} classes", ALL_CLASSES), *names]


def grid_html(opened: OpenDataset, split: object, label: object, page: object) -> str:
    """A page of sample images; unlabelled ones whatever the class. Raises ``UserError`` for invalid
    values."""
    if split not in ALL_SPLITS:
        raise UserError("Choose one of the splits.")
    name: SplitName = split  # type: ignore[assignment]
    classes = opened.dataset.classes
    if not isinstance(label, int) or not ALL_CLASSES <= label < len(classes):
        raise UserError("There is no such class here; choose one from the list.")
    if not isinstance(page, int) or page < 0:
        raise UserError("There is no such page of images.")
    chosen = None if label == ALL_CLASSES or name == "unlabelled" else label
    indices = opened.sample(name, chosen, page, GRID_IMAGES)
    title = SPLIT_TITLES[name].lower()
    if not indices:
        which = "" if chosen is None else f" of {classes[chosen].name}"
        return empty(f"No {title} images{which}.")
    data = opened.dataset.split(name)
    images = [
        {
            "address": picture_address(np.asarray(data.images[index]), THUMBNAIL),
            "name": _class_name(opened, data, index),
        }
        for index in indices
    ]
    number = len(data) if chosen is None else int((data.labels == chosen).sum())
    what = f" of {classes[chosen].name}" if chosen is not None else " of all classes"
    what = "" if name == "unlabelled" else what
    caption = f"{len(indices)} of {number:,} {title} images{what}, as the networks see them."
    return render("image_grid", caption=caption, images=images)


def _tile(title: str, figure: str, colour: str = "", small: str = "") -> dict[str, Any]:
    return {"title": title, "figure": figure, "colour": colour, "small": [small]}


def _line(kind: str, icon: str, prefix: str, text: str) -> dict[str, str]:
    return {"kind": kind, "icon": icon, "prefix": prefix, "text": text}


def _bad_html(report: DataReport) -> str:
    if not report.bad:
        return ""
    count = len(report.bad)
    caption = "1 file is left out." if count == 1 else f"{count:,} files are left out."
    if count > MOST_BAD:
        caption += f" The first {MOST_BAD} are shown; `python -m dait data check` lists all."
    return render("bad_files", caption=caption, problems=report.bad[:MOST_BAD])


def _leaks_html(opened: OpenDataset) -> str:
    leaks = opened.report.leaks
    if not leaks:
        return ""
    count = len(leaks)
    what = "1 image is" if count == 1 else f"{count:,} images are"
    shown = f" The first {MOST_LEAKS} are shown." if count > MOST_LEAKS else ""
    caption = f"{what} in two splits, so networks are tested on training images.{shown}"
    rows = [
        {
            "images": [_leaked(opened, image_id) for image_id in (leak.first, leak.second)],
            "kind": "the same picture" if leak.kind == "same" else "nearly the same picture",
        }
        for leak in leaks[:MOST_LEAKS]
    ]
    return render("leaks", caption=caption, leaks=rows)


def _leaked(opened: OpenDataset, image_id: str) -> dict[str, str]:
    position = opened.positions.get(image_id)
    if position is None:
        return {"id": image_id, "address": ""}
    split, index = position
    data = opened.dataset.split(split)
    return {
        "id": image_id,
        "address": picture_address(np.asarray(data.images[index]), THUMBNAIL),
        "split": SPLIT_TITLES[split],
        "name": _class_name(opened, data, index),
    }


def _class_name(opened: OpenDataset, split: Split, index: int) -> str:
    label = int(split.labels[index])
    return "no label" if label == UNLABELLED else opened.dataset.classes[label].name
