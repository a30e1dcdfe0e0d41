"""Zero-shot figures of teachers on data sets: measured once, kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dait.data.base import Dataset, SplitName
from dait.storage.cache import cache_dir
from dait.storage.files import write_atomically
from dait.teachers.prompts import Prompts, class_prompts
from dait.teachers.weights import stamp

if TYPE_CHECKING:
    from dait.teachers.base import FrozenTeacher

_FOLDER = "zero-shot"


@dataclass(frozen=True)
class ZeroShotFigures:
    """One measurement of a teacher. ``top1``, ``top5`` and ``interval`` are fractions.

    data: what the user called the data set; ``fingerprint`` says which images it had then.
    interval: low and high end of top-1's bootstrap 95 % interval. n: images; classes: their
    number. prompts: of the sentences, "" for a teacher that reads none; own_prompts: whether they
    were the data set's own. image_size: the side at which the teacher saw the images, pixels.
    measured: Unix seconds. stamp: of the weights' files. warnings: ``Prototypes.warnings``.
    """

    teacher: str
    weights_hash: str
    image_size: int
    data: str
    fingerprint: str
    split: str
    prompts: str
    top1: float
    top5: float
    interval: tuple[float, float]
    n: int
    classes: int
    stamp: str | None = None
    own_prompts: bool = True
    measured: float = field(default_factory=time.time)
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What the figures depend on: a new measurement of the same takes the old one's place."""
        named = (
            self.weights_hash,
            self.image_size,
            self.fingerprint,
            self.split,
            self.prompts,
        )
        return hashlib.sha256(json.dumps([self.teacher, *named]).encode()).hexdigest()[:32]


def prompts_digest(teacher: FrozenTeacher, data: Dataset, prompts: Prompts | None) -> str:
    """A hash of every sentence of every class, "" for a teacher that reads none."""
    if not teacher.reads_text:
        return ""
    classes = class_prompts(data.classes, prompts or Prompts())
    sentences = [[info.key, *info.descriptions] for info in classes]
    return hashlib.sha256(json.dumps(sentences).encode()).hexdigest()[:16]


def remember_zero_shot(
    teacher: FrozenTeacher,
    data: Dataset,
    split: SplitName,
    figures: Mapping[str, Any],
    *,
    called: str | None = None,
    prompts: Prompts | None = None,
    warnings: tuple[str, ...] = (),
) -> ZeroShotFigures:
    """Keep figures of ``dait.evaluation.metrics.evaluate_logits`` for a teacher, and return them.

    called: what the user called the data set, by default its own name. warnings: those of the
    prototypes that were used. Raises ``UserError`` where the
    cache folder cannot be written.
    """
    low, high = figures["top1_interval"]
    measured = ZeroShotFigures(
        teacher=teacher.name,
        weights_hash=teacher.weights_hash,
        image_size=teacher.image_size,
        data=called or data.name,
        fingerprint=data.fingerprint,
        split=split,
        prompts=prompts_digest(teacher, data, prompts),
        top1=float(figures["top1"]),
        top5=float(figures["top5"]),
        interval=(float(low), float(high)),
        n=int(figures["n_test"]),
        classes=len(data.classes),
        stamp=stamp(teacher.name),
        own_prompts=not prompts,
        warnings=warnings,
    )
    write_atomically(_folder() / f"{measured.key}.json", json.dumps(asdict(measured)))
    return measured


def known_zero_shot(
    teacher: str | None = None, data: Dataset | None = None, split: SplitName | None = None
) -> list[ZeroShotFigures]:
    """What has been measured on this machine, newest first; loads and measures nothing.

    teacher: only of the one called so; data, split: only of these images. What was measured with
    weights that have been replaced since is left out, and so are all but the newest of the same
    teacher, data set, split and prompts.
    """
    found = sorted(_kept(), key=lambda figures: -figures.measured)
    stamps: dict[str, str | None] = {}
    newest: dict[tuple[Any, ...], ZeroShotFigures] = {}
    for figures in found:
        if teacher not in (None, figures.teacher) or split not in (None, figures.split):
            continue
        if data is not None and data.fingerprint != figures.fingerprint:
            continue
        if figures.teacher not in stamps:
            stamps[figures.teacher] = stamp(figures.teacher)
        if stamps[figures.teacher] != figures.stamp:
            continue
        same = (figures.teacher, figures.image_size, figures.data, figures.split, figures.prompts)
        newest.setdefault(same, figures)
    return list(newest.values())


def _kept() -> Iterable[ZeroShotFigures]:
    for file in _folder().glob("*.json"):
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            low, high = raw.pop("interval")
            warnings = tuple(raw.pop("warnings", ()))
            yield ZeroShotFigures(**raw, interval=(low, high), warnings=warnings)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue  # another version's, or half gone: it is only a saving of time


def _folder() -> Path:
    return cache_dir() / _FOLDER
