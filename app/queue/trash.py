"""Deleted studies: kept for a day inside the runs folder, so that a deletion can be undone."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from dait.errors import UserError
from dait.runs.folder import RunsRoot, StudyFolder
from dait.storage.files import cannot_write

FOLDER = ".trash"
KEPT_SECONDS = 24 * 3600.0


class Trash:
    """The trash of one runs folder. A study's time in it counts from the folder's mtime."""

    def __init__(self, runs: RunsRoot) -> None:
        self.runs = runs
        self.path = runs.path / FOLDER

    def put(self, study: StudyFolder) -> None:
        """Move a study into the trash. Raises ``UserError`` if that is not possible."""
        try:
            self.path.mkdir(exist_ok=True)
            # Before the move: an old folder would be removed at the next cleaning.
            os.utime(study.path, ns=(time.time_ns(),) * 2)
            study.path.rename(self.path / study.path.name)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def latest(self) -> StudyFolder | None:
        """The study that was deleted last; None if the trash is empty."""
        return next(iter(self._contents()), None)

    def restore(self) -> StudyFolder:
        """Restore the study that was deleted last. Raises ``UserError`` if there is none."""
        study = self.latest()
        if study is None:
            raise UserError("The trash is empty: studies stay in it for a day.")
        back = self.runs.resolve(study.path.name)
        try:
            study.path.rename(back)
        except OSError as error:
            raise cannot_write(back, error) from error
        return StudyFolder(back)

    def empty(self) -> None:
        """Remove studies that have been here for longer than a day."""
        for study in self._contents():
            with suppress(FileNotFoundError):  # just restored
                if time.time() - study.path.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(study.path)

    def _contents(self) -> list[StudyFolder]:
        """Last deleted first."""
        times: dict[Path, float] = {}
        with suppress(FileNotFoundError):  # nothing was ever deleted
            for folder in self.path.iterdir():
                with suppress(FileNotFoundError):  # just restored by another visitor
                    times[folder] = folder.stat().st_mtime
        return [StudyFolder(folder) for folder in sorted(times, key=lambda f: -times[f])]
