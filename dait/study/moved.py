"""Whether images are those of a study, though they were moved or other libraries read them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dait.config.recipe import parse_recipe
from dait.data.base import Dataset
from dait.data.sources.catalogue import absolute_source
from dait.errors import UserError
from dait.evaluation.measure import versions
from dait.events import Emit, Note
from dait.runs.data import open_data, study_around
from dait.runs.folder import StudyFolder
from dait.study.lock import locked_folder

FLAG = "--accept-versions"
"""The option to resume where other library versions read the images."""

LIBRARIES = ("pillow", "numpy")
"""Whose versions a data set's fingerprint may hold; other readers are this project's own."""

Facts = Mapping[str, Any]


def data_facts(data: Dataset) -> dict[str, Any]:
    """What ``study.json`` says of the images, to recognise them wherever they lie."""
    revision = getattr(data, "revision", "")
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "reader": getattr(data, "reader", {}),
        "counts": data.counts(),
        "listed": _listed(data),
        "problems": [{"file": problem.file, "reason": problem.reason} for problem in data.problems],
        **({"revision": revision} if revision else {}),
    }


def move_data(path: Path, source: str, emit: Emit, accept_versions: bool = False) -> None:
    """Keep with the study of ``path`` (its folder or a run's) that its images lie at ``source``.

    accept_versions: accept that other versions of libraries read them. Raises ``UserError`` where
    they are not the images that the study was begun with, with what differs, where another process
    works on the study, and where it cannot be written.
    """
    study = study_around(path)
    with locked_folder(study):
        described = study.description()
        recipe = parse_recipe(described.get("recipe"), str(study.path / "study.json"))
        before, now = recipe.data.source, absolute_source(source)
        data = open_data(recipe.changed({"data.source": now}), emit)
        accepted = accept_data(study, described, data, emit, accept_versions)
        described["recipe"]["data"]["source"] = now
        for run in study.runs():
            if run.begun:
                config = run.config()
                config["data"]["source"] = now
                run.write_config(config)
        # Last: if this is interrupted before, the study still names the old place.
        study.write_description(described | ({"data": accepted} if accepted else {}))
        study.log(f"the images lie at {now} now, and were at {before}")
        emit(Note(f"the images of {study.path.name} lie at {now} from now on"))


def accept_data(
    study: StudyFolder, described: Facts, data: Dataset, emit: Emit, accept_versions: bool = False
) -> dict[str, Any]:
    """What ``study.json`` should say of its data from now on; raises ``UserError`` if other images.

    Empty for a study that does not say whose images it knows: then only the classes can be
    compared.
    """
    known: Facts = described.get("data") or {}
    fingerprint = known.get("fingerprint")
    if fingerprint is None:
        differs = _classes_differ(described, data)
        if differs:
            raise UserError(_other_images(study, data, [differs]))
        return {}
    if fingerprint == data.fingerprint:
        return dict(known)
    reader = getattr(data, "reader", {})
    then = known.get("reader") or reader | _versions_then(study)
    changed = [
        f"{name} was {then[name]} and is {version}"
        for name, version in reader.items()
        if then.get(name, version) != version
    ]
    if not changed or data.fingerprint_read_by(then) != fingerprint:  # type: ignore[attr-defined]
        raise UserError(_other_images(study, data, _differences(described, data) + changed))
    same = f"The images are those that {study.path} was begun with, but {' and '.join(changed)}"
    if any(then[name] != reader[name] for name in reader if name not in LIBRARIES):
        raise UserError(
            f"{same}: this version of the project reads them differently. Use the version that "
            "began the study, or start a new one."
        )
    if not accept_versions:
        raise UserError(
            f"{same}: pixels may be decoded a little differently. Install the version that it was "
            f"begun with, or resume with {FLAG}: runs that are trained from then on are not bit "
            "for bit what they would have been, and differ from the others by that too."
        )
    note = f"{' and '.join(changed)}: accepted; runs from here on may see slightly other pixels"
    study.log(note)
    emit(Note(note))
    before = [*known.get("before", ()), {"fingerprint": fingerprint, "reader": dict(then)}]
    return {**known, "fingerprint": data.fingerprint, "reader": reader, "before": before}


def versions_changed(study: StudyFolder) -> list[str]:
    """In words, which libraries have other versions than when the study's first run was begun."""
    then = _noted_versions(study)
    return [
        f"{name} was {then[name]} and is {version}"
        for name, version in versions().items()
        if then.get(name, version) != version
    ]


def _versions_then(study: StudyFolder) -> dict[str, str]:
    noted = _noted_versions(study)
    return {name: noted[name] for name in LIBRARIES if name in noted}


def _noted_versions(study: StudyFolder) -> dict[str, str]:
    for run in study.runs():
        status = run.status()
        # The process that asks may have written down its own already.
        noted = (status.get("versions_before") or [status.get("versions")])[0]
        if isinstance(noted, dict) and noted:
            return noted
    return {}


def _listed(data: Dataset) -> dict[str, list[Any]]:
    """Of every split, how many images are listed, and a digest of their names and labels."""
    listing = getattr(data, "listing", None)
    if listing is None:
        return {}
    splits = {}
    for name, entries in listing.splits.items():
        digest = hashlib.sha256()
        for entry in entries:
            digest.update(f"{entry.id}\0{entry.label}\n".encode("utf-8", "surrogateescape"))
        splits[name] = [len(entries), digest.hexdigest()[:16]]
    return splits


def _differences(described: Facts, data: Dataset) -> list[str]:
    """In words, what is not as it was; the first thing that explains the rest."""
    classes = _classes_differ(described, data)
    if classes:
        return [classes]
    known, listed = described["data"].get("listed") or {}, _listed(data)
    if not known or not listed:
        was, now = described["data"].get("counts") or {}, data.counts()
        counts = [
            f"{now.get(n, 0):,} {n} images and not {was.get(n, 0):,}"
            for n in {**was, **now}
            if was and was.get(n, 0) != now.get(n, 0)
        ]
        return counts or ["files were changed, or another version reads them"]
    none: list[Any] = [0, ""]  # of unlabelled images
    both = {n: (known.get(n, none), listed.get(n, none)) for n in {**known, **listed}}
    counts = [
        f"{now[0]:,} {name} images and not {then[0]:,}"
        for name, (then, now) in both.items()
        if then[0] != now[0]
    ]
    names = [
        f"other images in the {name} split (or under other names or labels)"
        for name, (then, now) in both.items()
        if then[1] != now[1]
    ]
    return counts or names or ["the same names, but other lengths or times of change of the files"]


def _classes_differ(described: Facts, data: Dataset) -> str:
    was = [row["key"] for row in described.get("classes", ())]
    now = [info.key for info in data.classes]
    if not was or was == now:
        return ""
    gone, new = [key for key in was if key not in now], [key for key in now if key not in was]
    if not gone and not new:
        return "its classes are in another order"
    parts = [f"{len(now)} classes and not {len(was)}"] if len(now) != len(was) else []
    parts += [f"no ‘{key}’" for key in gone[:3]] + [f"a new ‘{key}’" for key in new[:3]]
    return ", ".join(parts)


def _other_images(study: StudyFolder, data: Dataset, differences: list[str]) -> str:
    return (
        f"The images of {data.name} have changed since {study.path} was begun: "
        f"{'; '.join(differences)}. Put them back as they were (a copy must keep the files' times: "
        "`cp -a`, `rsync -a`), or start a new study."
    )
