"""What the Data tab shows of a data set, as HTML and figures; no page in here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from app.background import Work
from app.config import hide_paths
from app.data.reading import OpenDataset
from app.ui.pictures import picture_address
from app.ui.plot import figure_json
from app.ui.wording import escape, percent
from dait.data.base import SPLITS, SplitName
from dait.data.sources.catalogue import DatasetCard
from dait.errors import UserError
from dait.events import Progress
from dait.evidence import figures
from dait.evidence.palette import SPLIT_COLOURS, SPLIT_TITLES

if TYPE_CHECKING:
    from dait.data.inspection.duplicates import Leak
    from dait.data.inspection.report import DataReport

GRID_IMAGES = 48
MOST_LEAKS = 12
MOST_BAD = 200
ALL_CLASSES = -1
THUMBNAIL = 128
"""Side in pixels of a picture in the grid, at most."""


def about_html(title: str, card: DatasetCard | None, report: DataReport | None) -> str:
    """What is known of a data set: before it is opened by its card, then by its report."""
    lines = [f"<h3>{escape(title)}</h3>"]
    if card is not None and card.description:
        lines.append(f"<p>{escape(card.description)}</p>")
    facts = []
    if report is None and card is not None:
        sizes = ((card.classes, "classes"), (card.images, "images"))
        facts += [f"{number:,} {what}" for number, what in sizes if number]
        facts.append("on this machine" if card.available else "not on this machine yet")
    licence = report.licence if report is not None else card.licence if card else ""
    if licence:
        facts.append(f"Licence: {escape(licence)}")
    homepage = report.homepage if report is not None else card.homepage if card else ""
    if homepage.startswith(("https://", "http://")):
        address = escape(homepage)
        facts.append(f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>')
    if facts:
        lines.append(f'<p class="ds-hint">{" · ".join(facts)}</p>')
    return "".join(lines)


def progress_html(work: Work[Any]) -> str:
    """How far a piece of work is."""
    now = work.progress
    if not isinstance(now, Progress) or not now.total:
        text = now.what if isinstance(now, Progress) else now.text
        return f'<div role="status"><p>{escape(text)} …</p><div class="ds-bar busy"></div></div>'
    share = min(1.0, now.done / now.total)
    return (
        f'<div role="status"><p>{escape(now.what)}</p>'
        f'<div class="ds-bar" role="progressbar" aria-label="{escape(now.what)}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{100 * share:.0f}">'
        f'<div style="width: {100 * share:.1f}%"></div></div>'
        f'<p class="ds-hint">{_amount(now)}. It goes on if you leave this page.</p></div>'
    )


def report_html(report: DataReport) -> str:
    """The figures of a data set and, as sentences, what to know and what to mend."""
    counts = [(SPLIT_TITLES[name], report.counts.get(name, 0), name) for name in SPLITS]
    tiles = [_tile("Classes", f"{len(report.classes):,}", "")]
    tiles += [_tile(title, f"{number:,}", SPLIT_COLOURS[name]) for title, number, name in counts]
    if report.sizes is not None:
        sizes = report.sizes
        small, middle, large = (
            f"{width} × {height}" for width, height in (sizes.smallest, sizes.median, sizes.largest)
        )
        spread = f"{small} to {large}" if small != large else "all alike"
        tiles.append(_tile("Files, in pixels", middle, "", spread))
    said = [("warning", "⚠", "To mend: ", text) for text in report.warnings]
    said += [("", "ℹ", "To know: ", text) for text in report.notes]
    if not report.warnings:
        said.insert(0, ("good", "✓", "", "Nothing in it stands in the way of a training."))
    lines = "".join(
        f'<li class="{kind}"><span aria-hidden="true">{icon}</span>'
        f'<span class="ds-unseen">{prefix}</span><span>{escape(hide_paths(text))}</span></li>'
        for kind, icon, prefix, text in said
    )
    return f'<dl class="ds-tiles">{"".join(tiles)}</dl><ul class="ds-said">{lines}</ul>'


def counts_figure(report: DataReport) -> str:
    """Images per class and split as a figure's JSON."""
    rows = [
        {"name": row.name, **{name: getattr(row, name) for name in SPLITS}}
        for row in report.classes
    ]
    return figure_json(figures.counts_bars(rows))


def problems_html(opened: OpenDataset) -> str:
    """Files that cannot be used, and images that are in two splits; empty where there are none."""
    return _bad_html(opened.report) + _leaks_html(opened)


def class_choices(opened: OpenDataset) -> list[tuple[str, int]]:
    """(name, label) for the filter of the grid."""
    names = [(info.name, label) for label, info in enumerate(opened.dataset.classes)]
    return [(f"All {len(names)} classes", ALL_CLASSES), *names]


def grid_html(opened: OpenDataset, split: object, label: object, page: object) -> str:
    """A page of sample images. The values may come from a browser: ``UserError`` for bad ones."""
    if split not in SPLITS:
        raise UserError("Choose one of the splits.")
    name: SplitName = split  # type: ignore[assignment]
    classes = opened.dataset.classes
    if not isinstance(label, int) or not ALL_CLASSES <= label < len(classes):
        raise UserError("There is no such class here; choose one from the list.")
    if not isinstance(page, int) or page < 0:
        raise UserError("There is no such page of images.")
    chosen = None if label == ALL_CLASSES else label
    indices = opened.sample(name, chosen, page, GRID_IMAGES)
    title = SPLIT_TITLES[name].lower()
    if not indices:
        which = "" if chosen is None else f" of {classes[chosen].name}"
        return f'<div class="ds-empty">No {escape(title)} images{escape(which)}.</div>'
    data = opened.dataset.split(name)
    cells = [
        _figure(np.asarray(data.images[index]), classes[int(data.labels[index])].name)
        for index in indices
    ]
    number = len(data) if chosen is None else int((data.labels == chosen).sum())
    what = classes[chosen].name if chosen is not None else "all classes"
    caption = f"{len(indices)} of {number:,} {title} images of {what}, as the networks see them."
    return f'<p class="ds-hint">{escape(caption)}</p><div class="ds-grid">{"".join(cells)}</div>'


def _tile(title: str, figure: str, colour: str, small: str = "") -> str:
    dot = f'<span class="ds-dot" style="background: {colour}"></span>' if colour else ""
    below = f"<small>{escape(small)}</small>" if small else ""
    return f"<div><dt>{dot}{escape(title)}</dt><dd>{escape(figure)}{below}</dd></div>"


def _figure(image: np.ndarray, name: str) -> str:
    address = picture_address(image, THUMBNAIL)
    return (
        f'<figure><img src="{address}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _bad_html(report: DataReport) -> str:
    if not report.bad:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(hide_paths(problem.file))}</th>'
        f'<td class="text" data-name="Why"><span>{escape(hide_paths(problem.reason))}</span>'
        "</td></tr>"
        for problem in report.bad[:MOST_BAD]
    )
    count = len(report.bad)
    caption = "1 file is left out." if count == 1 else f"{count:,} files are left out."
    if count > MOST_BAD:
        caption += f" The first {MOST_BAD} are shown; `python -m dait data check` lists all."
    return (
        f'<div class="ds-scroll" tabindex="0"><table class="ds-table" id="bad-files">'
        f"<caption>{escape(caption)}</caption>"
        '<thead><tr><th scope="col">File</th><th scope="col" class="text">Why</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _leaks_html(opened: OpenDataset) -> str:
    leaks = opened.report.leaks
    if not leaks:
        return ""
    pairs = "".join(_pair(opened, leak) for leak in leaks[:MOST_LEAKS])
    count = len(leaks)
    what = "1 image is" if count == 1 else f"{count:,} images are"
    shown = f" The first {MOST_LEAKS} are shown." if count > MOST_LEAKS else ""
    text = f"{what} in two splits, so that a network is tested on what it has learned.{shown}"
    return f'<p class="ds-hint">{escape(text)}</p><div class="ds-pairs">{pairs}</div>'


def _pair(opened: OpenDataset, leak: Leak) -> str:
    words = "the same picture" if leak.kind == "same" else "nearly the same picture"
    pictures = "".join(_twin(opened, image_id) for image_id in (leak.first, leak.second))
    return f'<figure class="ds-pair"><div>{pictures}</div><figcaption>{words}</figcaption></figure>'


def _twin(opened: OpenDataset, image_id: str) -> str:
    place = opened.places.get(image_id)
    if place is None:
        return f"<span>{escape(image_id)}</span>"
    split, index = place
    data = opened.dataset.split(split)
    name = opened.dataset.classes[int(data.labels[index])].name
    alt = f"{SPLIT_TITLES[split]}: {name}, {image_id}"
    address = picture_address(np.asarray(data.images[index]), THUMBNAIL)
    return (
        f'<span title="{escape(image_id)}"><img src="{address}" alt="{escape(alt)}">'
        f"<small>{escape(SPLIT_TITLES[split])}: {escape(name)}</small></span>"
    )


def _amount(now: Progress) -> str:
    if now.unit == "bytes":
        return f"{now.done / 1e6:,.0f} of {now.total / 1e6:,.0f} MB"
    return f"{now.done:,} of {now.total:,} {escape(now.unit)} ({percent(now.done / now.total, 0)})"
