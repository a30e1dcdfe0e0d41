"""Start the app: check the environment first, then import Gradio and serve the page."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.config import AppConfig, check_address, read_config
from dait.errors import UserError
from dait.storage.paths import make_absolute


def main() -> None:
    """Start the app and serve until it is interrupted.

    Exits with code 2 and a sentence if the app cannot start.
    """
    try:
        if sys.platform == "win32":
            raise UserError(
                "on Windows it cannot start and stop trainings, which needs process groups and "
                "signals. Run it in WSL 2; the command line, python -m dait, does not need them."
            )
        make_absolute()
        start()
    except UserError as error:
        print(f"DAIT Studio cannot start: {error}", file=sys.stderr)
        sys.exit(2)


def start(block: bool = True) -> str:
    """Check the environment and serve the page; returns its address.

    Raises ``UserError`` for an environment variable that cannot be used.
    """
    config = read_config()
    check_address(config)
    set_environment(config)
    with _library_settings(), _without_type_stubs():
        # Here, because Gradio and the hub's library read their variables when they are imported.
        from app.serve import serve
    with _library_settings():
        return serve(config, block)


def set_environment(config: AppConfig) -> None:
    """Set the variables that Gradio and the hub's library read."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Statistics of the last 10,000 events for Gradio's monitoring page, which is off: they were
    # computed again, with pandas, after every event, and took as long as a prediction.
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(2**62)
    # Gradio asks Matplotlib for its backend at every event, which else tries out those for windows.
    os.environ.setdefault("MPLBACKEND", "agg")
    if not os.environ.get("GRADIO_SERVER_PORT"):
        os.environ.pop("GRADIO_SERVER_PORT", None)  # empty means unset, but not to gradio
    if not config.paths:
        os.environ["HF_HUB_OFFLINE"] = "1"  # for the trainers too


@contextmanager
def _library_settings() -> Iterator[None]:
    """Raise ``UserError`` for a variable that a library expects to be a number and that is not."""
    try:
        yield
    except ValueError as error:
        named = [name for name, value in os.environ.items() if value and repr(value) in str(error)]
        if not named:
            raise
        raise UserError(
            f"A library cannot use the environment variable {' or '.join(sorted(named))} "
            f"({error}). Correct it, or unset it."
        ) from error


@contextmanager
def _without_type_stubs() -> Iterator[None]:
    """While Gradio is imported, its components have no file that could be found.

    It would parse the source of each and compare it with the ``.pyi`` file beside it, which
    editors read: half of the time of its import.
    """
    known = inspect.getfile

    def getfile(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("not looked for")
        return known(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = known
