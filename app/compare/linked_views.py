"""The Compare tab's linked figures, and the test image behind each of their marks.

Values may come from a browser and are checked here; wrong ones raise ``UserError``. No page here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.compare.selection import ImageRefs
from app.comparisons.cache import Comparisons, class_groups
from app.comparisons.heatmap_row import gallery_html
from app.ui.pictures import picture_address
from app.ui.plot import figure_json
from app.ui.templates import render
from app.ui.wording import listed
from dait.errors import UserError
from dait.evaluation.confusion import confusion_matrix, most_confused
from dait.evaluation.metrics import class_gains, reliability
from dait.evidence import figures
from dait.evidence.comparison import Comparison
from dait.evidence.figures.confusion import MOST_CLASSES
from dait.evidence.selection import (
    ImageFilter,
    largest_gain,
    matching,
    nearest_to_class,
    spread,
    surest_confusion,
)

MOST_MATCHES = 32
THUMBNAIL = 96
"""Pixels of a picture beside a point."""
PAIRS = 8
ANY = -1
"""Any class, in a list of classes."""
NO_MARK = "There is no such mark in this figure; choose another one."


class LinkedViews:
    """The linked views of the finished studies of one app."""

    def __init__(self, comparisons: Comparisons) -> None:
        self.comparisons = comparisons

    def networks(self, study: object, seed: int | None) -> list[tuple[str, str]]:
        """(title, role) of every network, in the order of the row."""
        members = self.comparisons.get(study, seed).comparison.members
        return [(member.title, member.role) for member in members]

    def parts(self, study: object, seed: int | None) -> list[tuple[str, str]]:
        """(label, value) of the parts that the test split is cut into: ``habitat=snow``."""
        found = []
        for name, cut in self.comparisons.get(study, seed).comparison.slices().items():
            values, counts = np.unique(cut, return_counts=True)
            found += [
                (f"{name}: {value} ({count:,})", f"{name}={value}")
                for value, count in zip(values.tolist(), counts.tolist(), strict=True)
            ]
        return found

    def image_filter(
        self,
        study: object,
        seed: int | None,
        right: object,
        wrong: object,
        label: object,
        part: object,
    ) -> ImageFilter:
        """The filter for a visitor's conditions. Raises ``UserError`` for unknown ones."""
        comparison = self.comparisons.get(study, seed).comparison
        keys = {member.role: member.key for member in comparison.members}
        right_keys, wrong_keys = (
            tuple(_key_of(keys, role) for role in _listed(roles)) for roles in (right, wrong)
        )
        chosen = None
        if label not in (None, ANY):
            chosen = _checked_index(label, len(comparison.classes))
        cut = None
        if part:
            name, _, value = str(part).partition("=")
            if value not in comparison.slices().get(name, ()):
                raise UserError("There is no such part of the split here; choose one of the list.")
            cut = (name, value)
        return ImageFilter(right_keys, wrong_keys, chosen, cut)

    def matching(self, study: object, seed: int | None, query: ImageFilter) -> list[int]:
        """The test images that match, by index."""
        comparison = self.comparisons.get(study, seed).comparison
        found = matching(comparison.logits, comparison.labels, comparison.slices(), query)
        return [int(index) for index in found]

    def matches(
        self, study: object, seed: int | None, query: ImageFilter, selected: ImageRefs
    ) -> tuple[str, str, int | None]:
        """A sentence about the matches, the images as HTML, and the first one (None for none)."""
        opened = self.comparisons.get(study, seed)
        comparison = opened.comparison
        found = np.asarray(self.matching(study, seed, query), dtype=np.int64)
        shown = spread(found, comparison.labels, MOST_MATCHES)
        images = [
            (index, opened.image(index), comparison.classes[comparison.labels[index]].name)
            for index in shown
        ]
        pressed = {value for kind, value in selected if kind == "test"}
        return (
            _summary(comparison, query, len(found), len(shown)),
            gallery_html(images, pressed) if images else "",
            shown[0] if shown else None,
        )

    def confusion(self, study: object, seed: int | None, columns: int) -> str:
        """Confusion matrices as a figure's JSON."""
        comparison = self.comparisons.get(study, seed).comparison
        names = [info.name for info in comparison.classes]
        matrices = {
            member.role: confusion_matrix(
                comparison.logits[member.key].argmax(axis=1), comparison.labels, len(names)
            )
            for member in comparison.members
        }
        groups = class_groups(comparison)
        return figure_json(
            figures.confusion_panels(
                matrices, names, groups, by_group=_by_group(comparison), columns=columns
            )
        )

    def pairs(self, study: object, seed: int | None, role: object) -> str:
        """A network's most confused pairs, as buttons for its most confident mistake of each."""
        comparison = self.comparisons.get(study, seed).comparison
        key, title = _member(comparison, role)
        found = most_confused(comparison.logits[key], comparison.labels, PAIRS, 1)
        return render("confused_pairs", title=title, pairs=found, classes=comparison.classes)

    def gains(
        self, study: object, seed: int | None, ours: object, theirs: object, columns: int
    ) -> str:
        """One network's gain over another for each class, as a figure's JSON."""
        comparison = self.comparisons.get(study, seed).comparison
        labels, count = comparison.labels, len(comparison.classes)
        right = [
            [comparison.logits[_member(comparison, role)[0]].argmax(axis=1) == labels]
            for role in (ours, theirs)
        ]
        found = class_gains(right[0], right[1], labels, count)
        rows = [
            {
                "index": at,
                "name": comparison.classes[at].name,
                "n": int(found.count[at]),
                "ours": float(found.ours[at]),
                "theirs": float(found.theirs[at]),
                "gain": float(found.gain[at]),
            }
            for at in np.flatnonzero(found.count).tolist()
        ]
        return figure_json(figures.gain_bars(rows, str(ours), str(theirs), columns))

    def reliability(self, study: object, seed: int | None, columns: int) -> str:
        """Reliability diagrams as a figure's JSON."""
        comparison = self.comparisons.get(study, seed).comparison
        found = {
            member.role: reliability(comparison.logits[member.key], comparison.labels)
            for member in comparison.members
        }
        return figure_json(figures.reliability_panels(found, columns))

    def at_point(self, study: object, seed: int | None, mark: object) -> int:
        """The image of a point; marks are {``panel``, ``data``}, as ``linked.js`` sends them."""
        comparison = self.comparisons.get(study, seed).comparison
        return _checked_index(_data(mark, 0), len(comparison.labels))

    def at_confusion(self, study: object, seed: int | None, mark: object) -> int:
        """The image with the highest confidence in a cell of a confusion matrix."""
        comparison = self.comparisons.get(study, seed).comparison
        groups = class_groups(comparison) or []
        names = list(dict.fromkeys(groups)) if _by_group(comparison) else []
        sides = []
        for place in (0, 1):
            index = _checked_index(_data(mark, place), len(names) or len(comparison.classes))
            own = [at for at, group in enumerate(groups) if group == names[index]] if names else []
            sides.append(own or [index])
        key = comparison.members[_panel(mark, comparison)].key
        return _found(surest_confusion(comparison.logits[key], comparison.labels, *sides))

    def at_gain(
        self, study: object, seed: int | None, ours: object, theirs: object, mark: object
    ) -> int:
        """An image of a bar's class on which the better network's lead is largest."""
        comparison = self.comparisons.get(study, seed).comparison
        label = _checked_index(_data(mark, 0), len(comparison.classes))
        pair = [comparison.logits[_member(comparison, role)[0]] for role in (ours, theirs)]
        return _found(largest_gain(pair[0], pair[1], comparison.labels, label))

    def at_similarity(self, study: object, seed: int | None, mark: object) -> int:
        """The image of a cell's row class that is nearest to its column's."""
        comparison = self.comparisons.get(study, seed).comparison
        label, other = (_checked_index(_data(mark, at), len(comparison.classes)) for at in (2, 3))
        key = comparison.members[_panel(mark, comparison)].key
        return _found(nearest_to_class(comparison.features[key], comparison.labels, label, other))

    def thumbnail(self, study: object, seed: int | None, index: object) -> str:
        """A small picture of a test image with its class, as HTML."""
        opened = self.comparisons.get(study, seed)
        comparison = opened.comparison
        position = _checked_index(index, len(comparison.labels))
        return render(
            "thumbnail",
            index=position,
            address=picture_address(opened.image(position), THUMBNAIL),
            name=comparison.classes[comparison.labels[position]].name,
        )


def _by_group(comparison: Comparison) -> bool:
    groups = class_groups(comparison)
    return len(comparison.classes) > MOST_CLASSES and groups is not None and len(set(groups)) > 1


def _member(comparison: Comparison, role: object) -> tuple[str, str]:
    key = _key_of({member.role: member.key for member in comparison.members}, role)
    return key, next(member.title for member in comparison.members if member.key == key)


def _key_of(keys: dict[str, str], role: object) -> str:
    if role not in keys:
        raise UserError("There is no such network here; choose one from the list.")
    return keys[str(role)]


def _listed(values: object) -> Sequence[Any]:
    return values if isinstance(values, (list, tuple)) else ()


def _data(mark: object, place: int) -> object:
    data = mark.get("data") if isinstance(mark, dict) else None
    return data[place] if isinstance(data, list) and place < len(data) else None


def _panel(mark: object, comparison: Comparison) -> int:
    return _checked_index(
        mark.get("panel") if isinstance(mark, dict) else None, len(comparison.members)
    )


def _checked_index(value: object, count: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise UserError(NO_MARK)
    return value


def _found(index: int | None) -> int:
    if index is None:
        raise UserError("There is no test image behind this mark; choose another one.")
    return index


def _summary(comparison: Comparison, query: ImageFilter, found: int, shown: int) -> str:
    titles = {member.key: member.title for member in comparison.members}
    conditions = [f"{titles[key]} right" for key in query.right]
    conditions += [f"{titles[key]} wrong" for key in query.wrong]
    if query.label is not None:
        conditions.append(comparison.classes[query.label].name)
    if query.part is not None:
        conditions.append(f"{query.part[0]} {query.part[1]}")
    some = f" {shown} of them are shown, from all their classes." if shown < found else ""
    return f"{found:,} of {len(comparison.labels):,} test images: {listed(conditions)}.{some}"
