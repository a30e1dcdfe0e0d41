"""What marks of the Compare tab's figures lead to, and the figures that are only there to be
pointed at: made from ids and numbers, no page in here.

Whatever comes in may come from a browser and is checked here; what is wrong raises ``UserError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.compare.picked import Picks
from app.comparisons.cache import Comparisons
from app.comparisons.heatmap_row import gallery_html
from app.ui.pictures import picture_address
from app.ui.plot import figure_json
from app.ui.wording import escape, listed, percent
from dait.errors import UserError
from dait.evaluation.calibration import reliability
from dait.evaluation.confusion import confusion_matrix, most_confused
from dait.evaluation.per_class import class_gains
from dait.evidence import figures
from dait.evidence.comparison import Comparison
from dait.evidence.examples import of_confusion, of_gain, of_similarity
from dait.evidence.figures.confusion import MOST_CLASSES
from dait.evidence.selection import ImageFilter, matching, spread

MOST_MATCHES = 32
THUMBNAIL = 96
"""Pixels of a picture beside a point."""
PAIRS = 8
ANY = -1
"""Stands for no class in a list of classes."""
NO_MARK = "There is no such mark in this figure; point at another one."


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

    def wanted(
        self, study: object, seed: int | None, right: object, wrong: object, label: object,
        part: object,
    ) -> ImageFilter:  # fmt: skip
        """What a visitor looks for. Raises ``UserError`` for what the study has not."""
        comparison = self.comparisons.get(study, seed).comparison
        keys = {member.role: member.key for member in comparison.members}
        right_keys, wrong_keys = (
            tuple(_key_of(keys, role) for role in _listed(roles)) for roles in (right, wrong)
        )
        chosen = None
        if label not in (None, ANY):
            chosen = _place(label, len(comparison.classes))
        cut = None
        if part:
            name, _, value = str(part).partition("=")
            if value not in comparison.slices().get(name, ()):
                raise UserError("There is no such part of the split here; choose one of the list.")
            cut = (name, value)
        return ImageFilter(right_keys, wrong_keys, chosen, cut)

    def matches(
        self, study: object, seed: int | None, wanted: ImageFilter, picks: Picks
    ) -> tuple[str, str, int | None]:
        """What was found in a sentence, the images as HTML, and the first one (None for none)."""
        opened = self.comparisons.get(study, seed)
        comparison = opened.comparison
        found = matching(comparison.logits, comparison.labels, comparison.slices(), wanted)
        shown = spread(found, comparison.labels, MOST_MATCHES)
        images = [
            (index, opened.image(index), comparison.classes[comparison.labels[index]].name)
            for index in shown
        ]
        pressed = {value for kind, value in picks if kind == "test"}
        shows_errors = _told(comparison, wanted, len(found), len(shown))
        return (
            shows_errors,
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
        """The most confused pairs of a network as buttons that lead to its surest mistake."""
        comparison = self.comparisons.get(study, seed).comparison
        key, title = _member(comparison, role)
        found = most_confused(comparison.logits[key], comparison.labels, PAIRS, 1)
        if not found:
            return f'<p class="ds-hint">{escape(title)} confuses no two classes.</p>'
        rows = "".join(
            f'<li><button type="button" data-index="{pair.examples[0]}">'
            f"{escape(comparison.classes[pair.label].name)} <small>taken for</small> "
            f"{escape(comparison.classes[pair.predicted].name)}</button>"
            f"<span>{pair.count}\u00a0× ({percent(pair.share, 0)})</span></li>"
            for pair in found
        )
        hint = (
            f"What {escape(title)} confuses most, and the share of the class. Press one to see its "
            "surest mistake."
        )
        return f'<p class="ds-hint">{hint}</p><ol class="ds-pairs">{rows}</ol>'

    def gains(
        self, study: object, seed: int | None, ours: object, theirs: object, columns: int
    ) -> str:
        """What one network gains over another, class by class, as a figure's JSON."""
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
        return _place(_data(mark, 0), len(comparison.labels))

    def at_confusion(self, study: object, seed: int | None, mark: object) -> int:
        """The surest image of a cell of a confusion matrix."""
        comparison = self.comparisons.get(study, seed).comparison
        groups = class_groups(comparison) or []
        names = list(dict.fromkeys(groups)) if _by_group(comparison) else []
        sides = []
        for place in (0, 1):
            index = _place(_data(mark, place), len(names) or len(comparison.classes))
            own = [at for at, group in enumerate(groups) if group == names[index]] if names else []
            sides.append(own or [index])
        key = comparison.members[_panel(mark, comparison)].key
        return _found(of_confusion(comparison.logits[key], comparison.labels, *sides))

    def at_gain(
        self, study: object, seed: int | None, ours: object, theirs: object, mark: object
    ) -> int:
        """An image of the class of a bar, on which the network that is ahead is most so."""
        comparison = self.comparisons.get(study, seed).comparison
        label = _place(_data(mark, 0), len(comparison.classes))
        pair = [comparison.logits[_member(comparison, role)[0]] for role in (ours, theirs)]
        return _found(of_gain(pair[0], pair[1], comparison.labels, label))

    def at_similarity(self, study: object, seed: int | None, mark: object) -> int:
        """The image of a cell's row class that is nearest to its column's."""
        comparison = self.comparisons.get(study, seed).comparison
        label, other = (_place(_data(mark, at), len(comparison.classes)) for at in (2, 3))
        key = comparison.members[_panel(mark, comparison)].key
        return _found(of_similarity(comparison.features[key], comparison.labels, label, other))

    def thumbnail(self, study: object, seed: int | None, index: object) -> str:
        """A small picture of a test image with its class, as HTML."""
        opened = self.comparisons.get(study, seed)
        comparison = opened.comparison
        place = _place(index, len(comparison.labels))
        name = escape(comparison.classes[comparison.labels[place]].name)
        address = picture_address(opened.image(place), THUMBNAIL)
        return (
            f'<figure data-image="{place}"><img src="{address}" alt="Test image {place}: {name}">'
            f"<figcaption>{name}</figcaption></figure>"
        )


def class_groups(comparison: Comparison) -> list[str] | None:
    """The group of every class, None where no class has one."""
    groups = [info.group for info in comparison.classes]
    return [group or "other" for group in groups] if any(groups) else None


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
    return _place(mark.get("panel") if isinstance(mark, dict) else None, len(comparison.members))


def _place(value: object, count: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise UserError(NO_MARK)
    return value


def _found(index: int | None) -> int:
    if index is None:
        raise UserError("No test image stands behind this mark; point at another one.")
    return index


def _told(comparison: Comparison, wanted: ImageFilter, found: int, shown: int) -> str:
    titles = {member.key: member.title for member in comparison.members}
    said = [f"{titles[key]} right" for key in wanted.right]
    said += [f"{titles[key]} wrong" for key in wanted.wrong]
    if wanted.label is not None:
        said.append(comparison.classes[wanted.label].name)
    if wanted.part is not None:
        said.append(f"{wanted.part[0]} {wanted.part[1]}")
    some = f" {shown} of them are shown, from all their classes." if shown < found else ""
    return f"{found:,} of {len(comparison.labels):,} test images: {listed(said)}.{some}"
