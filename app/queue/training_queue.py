"""The queue of trainings, whose whole state is in the studies' folders.

A training is a child process that outlives the page and the server: it runs in its own session,
writes its output to a file, and keeps its state in the study's folder. The queue is the tickets of
the waiting studies, so it outlives the server too. In memory there is only what is needed to reap a
child that ends; several servers may share one runs folder.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app.background import ERRORS, keep_doing
from app.queue.processes import ask_to_end, end_group, marked
from app.queue.trainer import CANCELLED, spawn, write_exit_state, write_final_state
from app.queue.trash import Trash
from app.studies.order import RECIPE_FILE, Command, Order, order_of, study_command
from app.studies.ticket import is_waiting, process_of, read_ticket, state_of, write_ticket
from dait.errors import UserError
from dait.runs.folder import WORKING_STATES, RunsRoot, StudyFolder
from dait.runs.sweeps import sweep_title
from dait.storage.files import cannot_write, write_atomically
from dait.storage.lock import locked

LONGEST_NAME = 80
LOCK = ".queue.lock"
POLL_SECONDS = 2.0
EMPTY_TRASH_SECONDS = 1800.0
RESUMABLE = ("paused", "stopped", "failed", "lost")


class TrainingQueue:
    """The trainings of one runs folder: ``at_once`` run, at most ``most_waiting`` wait.

    allow: raises ``UserError`` for an order that a visitor may not train (``Policy``).
    """

    def __init__(
        self,
        runs: RunsRoot,
        at_once: int = 1,
        most_waiting: int = 50,
        command: Command = study_command,
        allow: Callable[[Order], None] = lambda order: None,
    ) -> None:
        self.runs = runs
        self.trash = Trash(runs)
        self._at_once, self._most_waiting, self._command = at_once, most_waiting, command
        self._allow = allow
        self._lock = threading.Lock()

    def working(self) -> list[StudyFolder]:
        """The studies that are being trained, by whatever program; newest first."""
        return [study for study in self.runs.studies() if process_of(study) is not None]

    def waiting(self) -> list[StudyFolder]:
        """The studies in the queue, the next one first."""
        studies = [study for study in self.runs.studies() if is_waiting(study)]
        return sorted(studies, key=lambda s: (read_ticket(s).waiting_since or 0.0, s.path.name))

    def needing(self, source: str) -> list[StudyFolder]:
        """The running, waiting and paused studies on this data source."""
        return [
            study
            for study in self.runs.studies()
            if (process_of(study) is not None or state_of(study) in ("queued", "paused"))
            and _source(study) == source
        ]

    def start(self, order: Order, name: str = "") -> str:
        """Put a training into the queue, which may start it immediately; returns its id.

        Raises ``UserError`` if the order is not allowed, the queue is full or the folder cannot be
        written.
        """
        self._allow(order)
        with self._locked():
            self._require_room()
            study = StudyFolder(self.runs.resolve(self.runs.new_id(order.recipe.name)))
            write_atomically(study.path / RECIPE_FILE, order.recipe.to_yaml())
            write_ticket(study, name=name, device=order.device, waiting_since=time.time())
            study.write_status(
                state="queued",
                title=_title(order),
                arms=list(order.arms),
                seeds=list(order.seeds),
                **_varied(order),
            )
        self.start_next()
        return study.path.name

    def resume(self, study_id: str) -> None:
        """Put an interrupted study into the queue again; it continues where it stopped.

        Raises ``UserError`` if it cannot be resumed or is not allowed.
        """
        with self._locked():
            study = self._open(study_id)
            if state_of(study) not in RESUMABLE:
                raise UserError(f"{study_id} is {state_of(study)}: it cannot be resumed.")
            self._allow(order_of(study))
            self._require_room()
            write_ticket(study, waiting_since=time.time(), requested="", pid=None, started=None)
            study.write_status(state="queued", pid=None, message="", eta_seconds=None)
        self.start_next()

    def pause(self, study_id: str) -> None:
        """Ask a training to save its state and exit. Does not wait for that.

        Raises ``UserError`` for a study that is not running.
        """
        with self._locked():
            study = self._open(study_id)
            process = process_of(study)
            if process is None or study.state() not in WORKING_STATES:
                raise UserError(f"{study_id} is {state_of(study)}: there is nothing to pause.")
            write_ticket(study, requested="pause", pid=process[0], started=process[1])
            ask_to_end(*process)

    def cancel(self, study_id: str) -> None:
        """Take a study out of the queue, or end its training and all its child processes.

        Sends SIGTERM, then SIGKILL after ``GRACE_SECONDS``; returns when all have ended. Raises
        ``UserError`` for a study that is neither waiting nor running.
        """
        with self._locked():
            study = self._open(study_id)
            process = process_of(study)
            if is_waiting(study):
                write_ticket(study, waiting_since=None, requested="cancel")
                write_final_state(study, "stopped", "Taken out of the queue")
                return
            if process is None:
                raise UserError(f"{study_id} is {state_of(study)}: there is nothing to cancel.")
            write_ticket(study, requested="cancel", pid=process[0], started=process[1])
        end_group(*process)
        with self._locked():
            if read_ticket(study).requested == "cancel":  # and was not resumed meanwhile
                write_final_state(study, "stopped", CANCELLED)
        self.start_next()

    def retry(self, study_id: str) -> str:
        """Train the same again from the start, as a new study; returns its id."""
        study = self._open(study_id)
        return self.start(order_of(study), read_ticket(study).name)

    def rename(self, study_id: str, name: object) -> None:
        """Rename a study. Raises ``UserError`` for an invalid name."""
        called = " ".join(name.split()) if isinstance(name, str) else ""
        if not 0 < len(called) <= LONGEST_NAME or not called.isprintable():
            raise UserError(f"A name has 1 to {LONGEST_NAME} letters, digits or other characters.")
        with self._locked():
            write_ticket(self._open(study_id), name=called)

    def delete(self, study_id: str) -> None:
        """Move a study into the trash. Raises ``UserError`` while it is waiting or running."""
        with self._locked():
            study = self._open(study_id)
            if is_waiting(study) or process_of(study) is not None:
                raise UserError(f"{study_id} is {state_of(study)}: cancel it first.")
            self.trash.put(study)

    def undo(self) -> str:
        """Restore the study that was deleted last; returns its id."""
        with self._locked():
            return self.trash.restore().path.name

    def start_next(self) -> None:
        """Start the first waiting studies while there is room."""
        if not self.waiting():
            return
        with self._locked():
            free = self._at_once - len(self.working())
            for study in self.waiting():
                # A study that cannot even be marked as failed must not block the others.
                with ERRORS.noted(f"Starting {study.path.name}"):
                    free -= self._start(study) if free > 0 else 0

    def keep_going(self) -> None:
        """Start the threads that run the queue and empty the trash."""
        keep_doing("Running the queue", self.start_next, POLL_SECONDS)
        keep_doing("Emptying the trash", self.trash.empty, EMPTY_TRASH_SECONDS)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the queue's lock against other threads and other servers."""
        try:
            self.runs.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.runs.path, error) from error
        with self._lock, locked(self.runs.path / LOCK, lambda: None):
            yield

    def _open(self, study_id: str) -> StudyFolder:
        study = StudyFolder(self.runs.resolve(study_id))
        if not study.path.is_dir():
            raise UserError(f"There is no study called {study_id[:120]!r} any more.")
        return study

    def _require_room(self) -> None:
        count = len(self.waiting())
        if count >= self._most_waiting:
            raise UserError(
                f"{count} studies are waiting already, and no more are accepted. Wait until one of "
                "them has started."
            )

    def _start(self, study: StudyFolder) -> bool:
        """Start a study; whether that worked. If not, the study has failed."""
        # A server that died right after starting a process left it running without a ticket.
        turn = f"{study.path} {read_ticket(study).waiting_since}"
        pid = marked(turn)
        try:
            if pid is None:
                command = self._command(study.path, order_of(study))
                process = spawn(study, command, turn, self._at_once)
                threading.Thread(target=self._watch, args=(study, process), daemon=True).start()
                pid = process.pid
        except (UserError, OSError) as error:
            write_ticket(study, waiting_since=None)
            write_final_state(study, "failed", f"The training could not be started ({error}).")
            return False
        write_ticket(study, waiting_since=None, requested="", pid=pid, started=time.time())
        return True

    def _watch(self, study: StudyFolder, process: subprocess.Popen[bytes]) -> None:
        """Reap the child, and write its final state if it could not."""
        code = process.wait()
        with ERRORS.noted(f"Writing the final state of {study.path.name}"), self._locked():
            if study.path.is_dir() and read_ticket(study).pid == process.pid:
                write_exit_state(study, code)
        with ERRORS.noted("Running the queue"):
            self.start_next()


def _title(order: Order) -> str:
    title = order.recipe.title or order.recipe.name
    return title if order.vary is None else sweep_title(title, [order.vary[0]])


def _varied(order: Order) -> dict[str, dict[str, list[Any]]]:
    """What ``status.json`` of a sweep says that of a study does not."""
    return {} if order.vary is None else {"vary": {order.vary[0]: list(order.vary[1])}}


def _source(study: StudyFolder) -> str | None:
    try:
        return order_of(study).recipe.data.source
    except UserError:
        return None  # deleted meanwhile, or not started by the app
