"""Students as .zip files: made by a process in the background, one at a time, and kept a while."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.background import JobPool, Task
from app.config import AppConfig
from app.export.pages import StudentPages
from app.export.process import run_command
from app.server.loader import engine
from app.studies.entries import open_study
from app.ui.downloads import download_folder
from dait.bundle.web.runtime import has_web_runtime
from dait.config.arms import arm_title
from dait.errors import UserError
from dait.events import Emit, Note
from dait.runs.folder import RunFolder

if TYPE_CHECKING:
    from dait.bundle.deployment import DeployedForm

FILES, PAGE = "files", "page"
FORMS = (("Model files (.zip)", FILES), ("Page for a phone (.html)", PAGE))
"""What a student is handed out as."""


@dataclass(frozen=True)
class Bundle:
    """The one file of a run's student that is ready to be downloaded.

    page: the address of a file that is a page, relative to the app's; empty for others.
    """

    run: RunFolder
    file: Path
    page: str = ""


class Bundles:
    """The exported students of the studies that the page lists, shared by visitors."""

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self.pages = StudentPages()
        self.jobs: JobPool[Bundle] = JobPool(at_once=1, reuse=lambda bundle: bundle.file.is_file())

    def runs(self, study_id: object) -> list[tuple[str, str]]:
        """(title, folder name) of every finished run of a study that has its weights.

        Raises ``UserError`` for a study that is not listed or is damaged.
        """
        study = open_study(self._config, study_id)
        if not (study.path / "study.json").is_file():  # its trainer has not written anything yet
            return []
        rows = study.description()["runs"]
        return [
            (f"{arm_title(row['arm'])}, seed {row['seed']}", run.path.name)
            for row, run in zip(rows, study.runs(), strict=True)
            if run.student.is_file() and run.state() == "finished"
        ]

    def choice(self, study_id: object, current: object) -> tuple[list[tuple[str, str]], str | None]:
        """The runs to choose from now, and the chosen one: ``current`` if it is among them."""
        try:
            runs = self.runs(study_id) if study_id else []
        except UserError:  # what shows the study says it
            runs = []
        names = [name for _, name in runs]
        return runs, next((n for n in names if n == current), names[-1] if names else None)

    def run(self, study_id: object, name: object) -> RunFolder:
        """A run that can be exported. Raises ``UserError`` for any other."""
        if name not in [run for _, run in self.runs(study_id)]:
            raise UserError("Choose a finished run of this study.")
        return RunFolder(open_study(self._config, study_id).path / str(name))

    def deployed(self, study_id: object) -> list[DeployedForm]:
        """What was measured of a study's students as exported files.

        Raises ``UserError`` for a study that is not listed or is damaged.
        """
        names = [name for _, name in self.runs(study_id)]
        folder = open_study(self._config, study_id).path
        return engine().deployed_forms([RunFolder(folder / name) for name in names])

    def task(
        self, study_id: object, name: object, form: object = FILES
    ) -> tuple[str, Task[Bundle]]:
        """What exports a run, and its key; a file that is ready is not made again.

        All come from a browser. Raises ``UserError`` for a run that cannot be exported, and for a
        page whose runtime is not here and is not got for other visitors.
        """
        if form not in (FILES, PAGE):
            raise UserError("Choose the model files or the page.")
        if form == PAGE and not self._config.paths and not has_web_runtime():
            raise UserError(
                "What runs a network in a browser is not on this server, and is not got for "
                "visitors. Download the model files, or make the page on a machine of your own: "
                "`python -m dait export RUN --to DIR --web`."
            )
        run = self.run(study_id, name)
        changed = run.student.stat().st_mtime_ns
        key = f"{study_id}/{name}/{changed}/{form}"
        return key, partial(
            _export, run, f"{study_id}-{name}", self.pages if form == PAGE else None
        )


def _export(run: RunFolder, name: str, pages: StudentPages | None, emit: Emit) -> Bundle:
    """The .zip file of a run's student; with ``pages`` the one file that runs it in a browser."""
    folder = download_folder()
    try:
        option = "--web" if pages else "--onnx"
        run_command(["export", str(run.path), "--to", str(folder / name), option], emit)
        if pages:
            single = folder / f"{name}.html"
            (folder / name / "index.html").replace(single)
            shutil.rmtree(folder / name)
            return Bundle(run, single, pages.add(single))
        emit(Note("Packing the files"))
        archive = shutil.make_archive(str(folder / name), "zip", folder, name)
        shutil.rmtree(folder / name)
        return Bundle(run, Path(archive))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
