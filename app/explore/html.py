"""The Explore tab's HTML: matches, the teacher's figures, and linear probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from app.ui.tables import Cell, network_name, table_html
from app.ui.templates import render
from app.ui.wording import UNKNOWN, percent
from dait.evaluation.results.probes import (
    NEW_BIRDS,
    TRAIN,
    NetworkFigures,
    ProbeResults,
    Proportion,
    Reading,
)

TARGET_TITLES = {"class": "Class", "habitat": "Habitat", "pose": "Pose", "light": "Light"}


@dataclass(frozen=True)
class Hit:
    """A match: the test image's number, picture and class, and its cosine with the query."""

    index: int
    address: str
    name: str
    similarity: float


def matches_html(query: str, hits: Sequence[Hit]) -> str:
    """The best matches, best first."""
    return render("matches", query=query, hits=hits)


def tiles_html(teacher: str, results: ProbeResults) -> str:
    """Zero-shot and retrieval as large figures with their intervals."""
    shot, pairs = results.zero_shot, results.retrieval
    rows = [
        _tile("Zero-shot top-1", shot.top1, 1 / shot.classes),
        _tile("Zero-shot top-5", shot.top5, min(1.0, 5 / shot.classes)),
    ]
    if pairs is not None:
        for name, shares in (
            ("Image → caption", pairs.image_to_text),
            ("Caption → image", pairs.text_to_image),
        ):
            rows += [
                _tile(f"{name}, R@{rank}", share, rank / pairs.pairs)
                for rank, share in sorted(shares.items())
            ]
    return render("teacher_probes", teacher=teacher, zero_shot=shot, retrieval=pairs, rows=rows)


def unprobed_html(teacher: Mapping[str, Any], command: str) -> str:
    """The same for a study without probe results: ``study.json``'s figures, and the command."""
    rows = [
        {"title": title, "figure": percent(teacher.get(key)), "small": []}
        for title, key in (
            ("Zero-shot top-1", "zero_shot_top1"),
            ("Zero-shot top-5", "zero_shot_top5"),
        )
    ]
    name = teacher.get("name", UNKNOWN)
    return render("teacher_unprobed", teacher=name, rows=rows, command=command)


def attributes_table(results: ProbeResults) -> str:
    """Every attribute's accuracy beside chance and the most common value."""
    names = ("Species at test", "Most common there", "New birds", "Most common there", "Chance")
    body = [
        (
            row.name,
            [
                _share(row.species.accuracy),
                (percent(row.species.majority), ""),
                _share(row.birds.accuracy),
                (percent(row.birds.majority), ""),
                (percent(row.chance), f"{row.values} values"),
            ],
        )
        for row in results.attributes or ()
    ]
    caption = (
        "One sentence per value, such as “a bird with a red crown”: how often the nearest sentence "
        "is the true one. For new birds every attribute is drawn independently."
    )
    return table_html(caption, "Attribute", names, body)


def readings_table(results: ProbeResults) -> str:
    """The linear probes' accuracy for every network, a row per role, means over the seeds."""
    columns = _columns(results)
    names = tuple(_column_title(*column) for column in columns)
    roles = dict.fromkeys(network.role for network in results.networks)
    body: list[tuple[str, list[Cell]]] = []
    for role in roles:
        networks = [network for network in results.networks if network.role == role]
        cells = [_over_seeds(networks, *column) for column in columns]
        body.append((network_name(role, networks[0].title), cells))
    first = results.networks[0]
    readings = [first.reading(*column) for column in columns]
    body.append(("Most common value", [_plain(r.majority if r else None) for r in readings]))
    body.append(("Chance", [_plain(r.chance if r else None) for r in readings]))
    caption = (
        "Accuracy on the test images of a logistic regression on frozen features, its "
        "regularisation chosen on the validation split. Class, habitat, pose and light (dim, "
        "medium or bright) were fitted to the training images, where habitat and species go "
        "together; “from new birds” was fitted to drawings that no network was trained on, where "
        "they are independent."
    )
    return table_html(caption, "Network", names, body)


def _columns(results: ProbeResults) -> list[tuple[str, str]]:
    found = {(r.target, r.fitted_to): None for n in results.networks for r in n.readings}
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


def _tile(title: str, share: Proportion, chance: float) -> dict[str, Any]:
    small = [_interval(share), f"chance {percent(chance)}"]
    return {"title": title, "figure": percent(share.value), "small": small}
