"""What the Explore tab says, as HTML: matches, figures of the teacher, what probes read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from app.ui.tables import Cell, table_html
from app.ui.wording import UNKNOWN, escape, percent
from dait.evaluation.results.probes import (
    NEW_BIRDS,
    TRAIN,
    NetworkFigures,
    ProbeResults,
    Proportion,
    Reading,
)
from dait.evidence.palette import arm_colour

if TYPE_CHECKING:
    from dait.evidence.search import Found

TARGET_TITLES = {"class": "Class", "habitat": "Habitat", "pose": "Pose", "light": "Light"}


@dataclass(frozen=True)
class Hit:
    """A match as it is shown: the test image's number, picture and class, and its cosine."""

    index: int
    address: str
    name: str
    similarity: float


def matches_html(found: Found, hits: Sequence[Hit]) -> str:
    """The best matches, best first."""
    cells = "".join(
        f'<li><button type="button" data-index="{hit.index}"><figure>'
        f'<img src="{hit.address}" alt="Test image {hit.index}: {escape(hit.name)}">'
        f"<figcaption><b>{escape(hit.name)}</b>"
        f'<small title="Cosine of the image with the sentence">{hit.similarity:.3f}</small>'
        "</figcaption></figure></button></li>"
        for hit in hits
    )
    return (
        f'<p class="ds-hint" role="status">The {len(hits)} test images nearest to '
        f"“{escape(found.query)}”, with the cosine of their embeddings. Press one to see where "
        "each network looks.</p>"
        f'<ol class="ds-matches">{cells}</ol>'
    )


def chips_html(examples: Sequence[str]) -> str:
    """Example queries as buttons."""
    buttons = "".join(
        f'<button type="button" data-index="{index}">{escape(text)}</button>'
        for index, text in enumerate(examples)
    )
    return f'<div class="ds-chips" role="group" aria-label="Examples">{buttons}</div>'


def tiles_html(teacher: str, knowledge: ProbeResults) -> str:
    """Zero-shot and retrieval as large figures with their intervals."""
    shot, pairs = knowledge.zero_shot, knowledge.retrieval
    tiles = [
        _tile("Zero-shot top-1", shot.top1, f"chance {percent(1 / shot.classes)}"),
        _tile("Zero-shot top-5", shot.top5, f"chance {percent(min(1.0, 5 / shot.classes))}"),
    ]
    sentences = ""
    if pairs is not None:
        for name, shares in (
            ("Image → caption", pairs.image_to_text),
            ("Caption → image", pairs.text_to_image),
        ):
            tiles += [
                _tile(f"{name}, R@{rank}", share, f"chance {percent(rank / pairs.pairs)}")
                for rank, share in sorted(shares.items())
            ]
        sentences = (
            f" R@1 and R@5: how often an image's own caption is the nearest, or among the five "
            f"nearest, of {pairs.pairs:,} captions of new birds, and the other way round; "
            f"{percent(pairs.unambiguous)} of the captions fit one image alone."
        )
    return (
        f"<h3>{escape(teacher)}</h3>"
        f'<p class="ds-hint">{shot.classes} classes, {shot.top1.count:,} test images, '
        f"95 % intervals.{sentences}</p>"
        f'<dl class="ds-tiles">{"".join(tiles)}</dl>'
    )


def brief_html(teacher: Mapping[str, Any], command: str) -> str:
    """The same of a study that was never measured: what its ``study.json`` says, and how to get
    the rest."""
    tiles = [
        f"<div><dt>{title}</dt><dd>{percent(teacher.get(key))}</dd></div>"
        for title, key in (
            ("Zero-shot top-1", "zero_shot_top1"),
            ("Zero-shot top-5", "zero_shot_top5"),
        )
    ]
    return (
        f"<h3>{escape(teacher.get('name', UNKNOWN))}</h3>"
        f'<dl class="ds-tiles">{"".join(tiles)}</dl>'
        '<p class="ds-hint">Retrieval, attributes and what probes read were not measured for this '
        f"study. This does it, in some minutes:</p><pre class='ds-log'>{escape(command)}</pre>"
    )


def attributes_table(knowledge: ProbeResults) -> str:
    """Every attribute's accuracy beside chance and the most common value."""
    names = ("Species at test", "Most common there", "New birds", "Most common there", "Chance")
    body = [
        (
            escape(row.name),
            [
                _share(row.species.accuracy),
                (percent(row.species.majority), ""),
                _share(row.birds.accuracy),
                (percent(row.birds.majority), ""),
                (percent(row.chance), f"{row.values} values"),
            ],
        )
        for row in knowledge.attributes or ()
    ]
    caption = (
        "One sentence a value, such as “a bird with a red crown”: how often the nearest sentence "
        "is the true one. New birds have every attribute drawn independently."
    )
    return table_html(caption, "Attribute", names, body)


def readings_table(knowledge: ProbeResults) -> str:
    """What a linear probe reads from every network, a row a role, means over the seeds."""
    columns = _columns(knowledge)
    names = tuple(_column_title(*column) for column in columns)
    roles = dict.fromkeys(network.role for network in knowledge.networks)
    body: list[tuple[str, list[Cell]]] = []
    for role in roles:
        networks = [network for network in knowledge.networks if network.role == role]
        dot = f'<span class="ds-dot" style="background: {arm_colour(role)}"></span>'
        cells = [_over_seeds(networks, *column) for column in columns]
        body.append((f"{dot}{escape(networks[0].title)}", cells))
    first = knowledge.networks[0]
    readings = [first.reading(*column) for column in columns]
    body.append(("Most common value", [_plain(r.majority if r else None) for r in readings]))
    body.append(("Chance", [_plain(r.chance if r else None) for r in readings]))
    caption = (
        "Accuracy on the test images of a logistic regression on frozen features, its strength "
        "chosen on validation. Class, habitat, pose and light (dim, medium or bright) were fitted "
        "to the training images, where habitats go with the species; “from new birds” was fitted "
        "to drawings that no network has seen, where they do not."
    )
    return table_html(caption, "Network", names, body)


def _columns(knowledge: ProbeResults) -> list[tuple[str, str]]:
    found = {(r.target, r.fitted_to): None for n in knowledge.networks for r in n.readings}
    order = list(TARGET_TITLES)
    return sorted(found, key=lambda column: (order.index(column[0]), column[1] != TRAIN))


def _column_title(target: str, fitted_to: str) -> str:
    title = TARGET_TITLES[target]
    return f"{title}, from new birds" if fitted_to == NEW_BIRDS else title


def _over_seeds(networks: Sequence[NetworkFigures], target: str, fitted_to: str) -> Cell:
    readings: list[Reading] = [
        reading for network in networks if (reading := network.reading(target, fitted_to))
    ]
    if not readings:
        return UNKNOWN, ""
    if len(readings) == 1:
        return _share(readings[0].accuracy)
    values = [reading.accuracy.value for reading in readings]
    return percent(mean(values)), f"± {100 * stdev(values):.1f} over {len(values)} seeds"


def _share(share: Proportion) -> Cell:
    return percent(share.value), _interval(share)


def _plain(value: float | None) -> Cell:
    return percent(value), ""


def _interval(share: Proportion) -> str:
    return f"{100 * share.low:.1f} to {100 * share.high:.1f} %"


def _tile(title: str, share: Proportion, chance: str) -> str:
    return (
        f"<div><dt>{escape(title)}</dt><dd>{percent(share.value)}"
        f"<small>{_interval(share)}</small><small>{chance}</small></dd></div>"
    )
