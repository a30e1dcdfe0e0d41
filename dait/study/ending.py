"""How the work on a run or a study ended, written into its folder."""

from __future__ import annotations

import logging
import traceback

from dait.errors import Stopped, UserError
from dait.runs.folder import RunFolder, StudyFolder


def write_end(folder: StudyFolder | RunFolder, error: BaseException) -> None:
    """Write down that ``error`` ended the work: ``stopped`` on request, else ``failed``."""
    try:
        _describe_end(folder, error)
    except UserError as unwritable:
        # The disk is full, say: what went wrong first is what the user has to read.
        logging.getLogger(__name__).error("%s", unwritable)


def _describe_end(folder: StudyFolder | RunFolder, error: BaseException) -> None:
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        folder.write_status(state="stopped", message="Stopped on request")
        folder.log("stopped on request")
        return
    if isinstance(error, UserError):
        message = str(error)
        folder.log(f"failed: {message}")
    else:
        message = f"Something unexpected went wrong ({type(error).__name__}: {error})."
        folder.log(f"failed: {message}\n{''.join(traceback.format_exception(error))}")
    folder.write_status(state="failed", message=message)
