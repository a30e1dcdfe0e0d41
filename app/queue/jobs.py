"""The queue of trainings, and trainings as child processes, found again through their files.

A training outlives the page, the tab and the server: it runs in a session of its own, writes what
it says to a file, and keeps its state in the study's folder. The queue is the tickets of the
studies that wait, so it outlives the server too. Nothing here remembers more than what is needed to
reap a child that ends; several servers may work over one runs folder.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.background import FAULTS, keep_doing
from app.queue.processes import ask_to_end, end_group, marked
from app.queue.trainer import CANCELLED, settle, settle_after, spawn
from app.queue.trash import Trash
from app.studies.order import RECIPE_FILE, Command, Order, order_of, study_command
from app.studies.ticket import is_waiting, process_of, read_ticket, state_of, write_ticket
from dait.errors import UserError
from dait.runs.folder import WORKING_STATES, RunsRoot, StudyFolder
from dait.storage.files import cannot_write, write_atomically
from dait.storage.lock import locked

LONGEST_NAME = 80
LOCK = ".queue.lock"
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_CLEANINGS = 1800.0
RESUMABLE = ("paused", "stopped", "failed", "lost")


class Jobs:
    """The trainings of one runs folder: ``at_once`` of them work, at most ``most_waiting`` wait.

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
        """The studies that train now, whoever started them; newest first."""
        return [study for study in self.runs.studies() if process_of(study) is not None]

    def waiting(self) -> list[StudyFolder]:
        """The studies in the queue, the next one first."""
        studies = [study for study in self.runs.studies() if is_waiting(study)]
        return sorted(studies, key=lambda s: (read_ticket(s).waiting_since or 0.0, s.path.name))

    def needing(self, source: str) -> list[StudyFolder]:
        """The studies that train on this data source, wait for their turn, or are paused."""
        return [
            study
            for study in self.runs.studies()
            if (process_of(study) is not None or state_of(study) in ("queued", "paused"))
            and _source(study) == source
        ]

    def start(self, order: Order, name: str = "") -> str:
        """Put a training into the queue, which may begin it at once, and give its id.

        Raises ``UserError`` where the order is not allowed, the queue is full or the folder cannot
        be written.
        """
        self._allow(order)
        with self._held():
            self._require_room()
            study = StudyFolder(self.runs.resolve(self.runs.new_id(order.recipe.name)))
            write_atomically(study.path / RECIPE_FILE, order.recipe.to_yaml())
            write_ticket(study, name=name, waiting_since=time.time())
            study.write_status(
                state="queued",
                title=order.recipe.title or order.recipe.name,
                arms=list(order.arms),
                seeds=list(order.seeds),
            )
        self.turn()
        return study.path.name

    def resume(self, study_id: str) -> None:
        """Put a study that was cut off into the queue again; it goes on where it was.

        Raises ``UserError`` where there is nothing to go on with, or more than is allowed.
        """
        with self._held():
            study = self._open(study_id)
            if state_of(study) not in RESUMABLE:
                raise UserError(f"{study_id} is {state_of(study)}: it cannot be resumed.")
            self._allow(order_of(study))
            self._require_room()
            write_ticket(study, waiting_since=time.time(), asked="", pid=None, started=None)
            study.write_status(state="queued", pid=None, message="", eta_seconds=None)
        self.turn()

    def pause(self, study_id: str) -> None:
        """Ask a training to keep where it is and end. Does not wait for that.

        Raises ``UserError`` for a study that does not train.
        """
        with self._held():
            study = self._open(study_id)
            process = process_of(study)
            if process is None or study.state() not in WORKING_STATES:
                raise UserError(f"{study_id} is {state_of(study)}: there is nothing to pause.")
            write_ticket(study, asked="pause", pid=process[0], started=process[1])
            ask_to_end(*process)

    def cancel(self, study_id: str) -> None:
        """Take a study out of the queue, or end its training and everything that it started.

        Back once nothing of it runs. First asks (SIGTERM), kills after ``GRACE_SECONDS``. Raises
        ``UserError`` for a study that neither waits nor trains.
        """
        with self._held():
            study = self._open(study_id)
            process = process_of(study)
            if is_waiting(study):
                write_ticket(study, waiting_since=None, asked="cancel")
                settle(study, "stopped", "Taken out of the queue")
                return
            if process is None:
                raise UserError(f"{study_id} is {state_of(study)}: there is nothing to cancel.")
            write_ticket(study, asked="cancel", pid=process[0], started=process[1])
        end_group(*process)
        with self._held():
            if read_ticket(study).asked == "cancel":  # and was not resumed meanwhile
                settle(study, "stopped", CANCELLED)
        self.turn()

    def retry(self, study_id: str) -> str:
        """Train the same once more from the beginning, as a new study; gives its id."""
        study = self._open(study_id)
        return self.start(order_of(study), read_ticket(study).name)

    def rename(self, study_id: str, name: object) -> None:
        """Call a study something else. Raises ``UserError`` for a name that will not do."""
        called = " ".join(name.split()) if isinstance(name, str) else ""
        if not 0 < len(called) <= LONGEST_NAME or not called.isprintable():
            raise UserError(f"A name has 1 to {LONGEST_NAME} letters, digits or other characters.")
        with self._held():
            write_ticket(self._open(study_id), name=called)

    def delete(self, study_id: str) -> None:
        """Move a study into the trash. Raises ``UserError`` while it waits or trains."""
        with self._held():
            study = self._open(study_id)
            if is_waiting(study) or process_of(study) is not None:
                raise UserError(f"{study_id} is {state_of(study)}: cancel it first.")
            self.trash.put(study)

    def undo(self) -> str:
        """Bring back the study that was deleted last; gives its id."""
        with self._held():
            return self.trash.restore().path.name

    def turn(self) -> None:
        """Begin what has come to the front of the queue, if there is room."""
        if not self.waiting():
            return
        with self._held():
            free = self._at_once - len(self.working())
            for study in self.waiting():
                # One that cannot even be marked as failed must not stop those behind it.
                with FAULTS.noted(f"Beginning {study.path.name}"):
                    free -= self._begin(study) if free > 0 else 0

    def keep_going(self) -> None:
        """Look after the queue and the trash from now on, in threads."""
        keep_doing("Looking after the queue", self.turn, SECONDS_BETWEEN_LOOKS)
        keep_doing("Emptying the trash", self.trash.empty, SECONDS_BETWEEN_CLEANINGS)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The queue, held against other threads and other servers."""
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
                f"{count} studies wait already, and no more are taken. Wait until one of them has "
                "its turn."
            )

    def _begin(self, study: StudyFolder) -> bool:
        """Whether the study trains now; else it has failed."""
        # A server that died between the start of a process and the note of it leaves it running.
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
            settle(study, "failed", f"The training could not be started ({error}).")
            return False
        write_ticket(study, waiting_since=None, asked="", pid=pid, started=time.time())
        return True

    def _watch(self, study: StudyFolder, process: subprocess.Popen[bytes]) -> None:
        """Reap the child; write down an end that it could not write down itself."""
        code = process.wait()
        with FAULTS.noted(f"Writing down the end of {study.path.name}"), self._held():
            if study.path.is_dir() and read_ticket(study).pid == process.pid:
                settle_after(study, code)
        with FAULTS.noted("Looking after the queue"):
            self.turn()


def _source(study: StudyFolder) -> str | None:
    try:
        return order_of(study).recipe.data.source
    except UserError:
        return None  # deleted meanwhile, or not from here
