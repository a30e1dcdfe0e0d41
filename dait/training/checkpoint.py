"""Checkpoints between two steps, from which an interrupted stage is resumed without a trace.

A file is written beside its place, flushed and moved into it, and the one before is kept: whatever
ends the process, one of the two is whole. A digest tells whether a file is.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dait.config.section import Section
from dait.config.train import TrainConfig
from dait.data.base import Dataset
from dait.data.pool import has_unlabelled
from dait.errors import UserError
from dait.events import Emit, Note
from dait.storage.files import set_aside, write_atomically
from dait.tasks.base import Task
from dait.training.views import StagePosition

MOST_OF_THE_TIME = 0.02
"""An epoch's end is kept too, unless writing would then take more than this share of the time."""

_VERSION = 1
"""Raised when an older version could not read a checkpoint any more, or would misunderstand it."""
_MAGIC = b"dait-step-checkpoint-%d\n" % _VERSION
_ANY_MAGIC = re.compile(rb"dait-step-checkpoint-(\d{1,9})\n")
_DIGEST = hashlib.sha256().digest_size


class StepCheckpoints:
    """The last two checkpoints of one stage: at ``path``, and beside it with ``.previous``.

    seconds_between, steps_between: when the next is due, whichever comes first.
    """

    def __init__(
        self, path: Path, seconds_between: float = 60.0, steps_between: int | None = None
    ) -> None:
        self.path = Path(path)
        self.previous = self.path.with_name(f"{self.path.name}.previous")
        self._new = self.path.with_name(f"{self.path.name}.new")
        self._seconds, self._steps = seconds_between, steps_between
        self._saved, self._cost = time.monotonic(), 0.0

    def is_due(self, step: int) -> bool:
        """Whether the interval has passed; ``step`` counts from 1 within the stage."""
        if self._steps is not None and step % self._steps == 0:
            return True
        return time.monotonic() - self._saved >= self._seconds

    def is_cheap(self) -> bool:
        """Whether an epoch's end may be kept as well; where steps are counted, it always is."""
        if self._steps is not None:
            return True
        return self._cost <= MOST_OF_THE_TIME * (time.monotonic() - self._saved)

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep ``state``: tensors, numbers, text, and lists and dictionaries of them.

        Raises ``UserError`` where the disk is full; what was there is then still there.
        """
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getvalue()
        write_atomically(self._new, _MAGIC + hashlib.sha256(content).digest() + content)
        if self.path.exists():
            self.path.replace(self.previous)
        self._new.replace(self.path)
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def load(self, emit: Emit) -> dict[str, Any] | None:
        """What was kept last, or before that where the last file is damaged; None if nothing is.

        A damaged file is set aside, with a note. Tensors come to the CPU. Raises ``UserError`` for
        a file that cannot be read, or that another version wrote.
        """
        for leftover in self.path.parent.glob(f".{self._new.name}.*.tmp"):
            leftover.unlink(missing_ok=True)  # of a process that was killed while it wrote
        for file in (self.path, self.previous):
            if not file.exists():
                continue
            state = _read(file)
            if state is not None:
                return state
            kept = set_aside(file).name
            emit(Note(f"the checkpoint {file.name} is damaged and not used; it is kept as {kept}"))
        return None

    def discard(self) -> None:
        """Remove all that was kept: the stage is done."""
        for file in (self.path, self.previous, self._new):
            file.unlink(missing_ok=True)


def fingerprint(
    task: Task, data: Dataset, config: TrainConfig, stage: StagePosition
) -> dict[str, dict[str, Any]]:
    """What a checkpoint must agree in with a stage for the stage to be resumed from it."""
    losses = getattr(task, "config", None)
    shapes = {name: str(tuple(tensor.shape)) for name, tensor in task.state_dict().items()}
    return {
        "train": config.model_dump(),
        "stage": {
            "index": stage.index,
            "epochs": stage.epochs,
            "seed": stage.seed,
            "distinct views": stage.distinct_views,
            **({"unlabelled": True} if stage.unlabelled and has_unlabelled(data) else {}),
        },
        "data": _data_identity(data),
        "task": {"kind": type(task).__name__, "views": str(task.views)},
        "losses": losses.model_dump() if isinstance(losses, Section) else {},
        "parameters": shapes,
    }


def _data_identity(data: Dataset) -> dict[str, str]:
    """``contents``: the fingerprint without reader versions, which are the study's to accept."""
    identity = {"fingerprint": data.fingerprint}
    reader = getattr(data, "reader", None)
    if reader:
        identity["contents"] = data.fingerprint_read_by(dict.fromkeys(reader, "0"))  # type: ignore[attr-defined]
    return identity


_ADDED_TO_LOSSES = {"head": "own"}
"""Settings of losses that were added to an arm later, with what it did before."""


def check_fingerprint(
    path: Path, found: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raises ``UserError`` that names what differs, unless both are the same.

    Settings that ``found`` lacks were not there yet, and were what is now the default.
    """
    defaults = {"train": TrainConfig().model_dump(), "losses": _ADDED_TO_LOSSES}
    for section in defaults.keys() & found.keys():
        then = {k: v for k, v in defaults[section].items() if k in wanted.get(section, {})}
        found = {**found, section: {**then, **found[section]}}
    differing = [
        f"{section} {key} is {wanted.get(section, {}).get(key)!r} and was {was.get(key)!r}"
        for section, was in found.items()
        for key in _compared(section, was, wanted.get(section, {}))
        if was.get(key) != wanted.get(section, {}).get(key)
    ]
    if differing:
        more = f", and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise UserError(
            f"The checkpoint {path} belongs to another training: {', '.join(differing[:3])}{more}. "
            "Resume with the settings that it was started with, or choose another folder to start "
            "again."
        )


def _compared(section: str, was: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    if section == "data":  # checkpoints of older versions do not say what the contents were
        return ["contents" if "contents" in was else "fingerprint"]
    return sorted({*was, *wanted})


def _read(file: Path) -> dict[str, Any] | None:
    """None where the file is damaged. Raises ``UserError`` for another version's."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}).") from error
    head = len(_MAGIC) + _DIGEST
    named = _ANY_MAGIC.match(content)
    if named is not None and int(named[1]) != _VERSION:
        raise UserError(
            f"{file} was written in version {int(named[1])} of the checkpoints' format; this "
            f"program reads version {_VERSION}. Resume with the version of the project that wrote "
            "it, or move the file away: then the stage starts from its beginning."
        )
    if not content.startswith(_MAGIC):
        return None
    if hashlib.sha256(content[head:]).digest() != content[len(_MAGIC) : head]:
        return None
    try:
        state: dict[str, Any] = torch.load(
            io.BytesIO(content[head:]), map_location="cpu", weights_only=True
        )
    except (RuntimeError, ValueError, pickle.UnpicklingError) as error:
        # It is whole, as its digest says: it was written by other software, or is no checkpoint.
        raise UserError(
            f"{file} cannot be read by torch {torch.__version__} ({str(error).splitlines()[0]}). "
            "Resume with the version of torch that wrote it, or move the file away: then the stage "
            "starts from its beginning."
        ) from error
    return state
