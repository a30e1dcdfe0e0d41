"""Load ``app.engine``, the heavy half of the app, behind the served page and in one thread.

Two threads that import SciPy or PyTorch at once can each see the other's half-imported modules;
Python then leaves them broken until the server is restarted. So every handler of the page waits
for the engine, except those marked ``light``.

The import takes many seconds of processor time, so it lets the first visitor pass: it begins once
a page shows its first view, or after ``PATIENCE_SECONDS``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr

from app.background import ERRORS

if TYPE_CHECKING:
    from app.engine import Engine

PATIENCE_SECONDS = 10.0
"""How long the import waits for a first visitor."""

_lock = threading.Lock()
_engine: Engine | None = None
_may_import = threading.Event()
_may_import.set()

Handler = TypeVar("Handler", bound=Callable[..., Any])


def engine() -> Engine:
    """The engine. The first caller imports it; others wait meanwhile."""
    global _engine
    if _engine is None:
        with _lock:
            if _engine is None:
                _engine = importlib.import_module("app.engine").Engine()
    return _engine


def wait_for_first_view() -> None:
    """From now on, import the engine only after ``first_view_is_out``.

    Call it before the page is served, and ``load_in_background`` afterwards.
    """
    _may_import.clear()


def first_view_is_out() -> None:
    """A visitor sees the first view: the import may begin."""
    _may_import.set()


def load_in_background() -> None:
    """Import the engine in a thread, after the first view or ``PATIENCE_SECONDS``."""

    def wait_and_load() -> None:
        _may_import.wait(PATIENCE_SECONDS)
        _may_import.set()
        with ERRORS.noted("Importing the libraries"):  # the next handler tries again
            engine()

    threading.Thread(target=wait_and_load, name="engine", daemon=True).start()


def light(handler: Handler) -> Handler:
    """Mark a handler that needs no engine, and is run at once."""
    handler.__dict__["needs_no_engine"] = True
    return handler


def hold_back(page: gr.Blocks) -> None:
    """Let every handler of ``page`` that is not ``light`` wait for the engine."""
    for block_function in page.fns.values():
        if block_function.fn is not None:
            block_function.fn = _held_back(block_function.fn)


def _held_back(handler: Callable[..., Any]) -> Callable[..., Any]:
    plain = getattr(handler, "__func__", handler)
    asynchronous = inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)
    if asynchronous or getattr(plain, "needs_no_engine", False):
        return handler

    if inspect.isgeneratorfunction(plain):

        @functools.wraps(handler)
        def generating(*values: Any, **named: Any) -> Iterator[Any]:
            _wait_and_load()
            yield from handler(*values, **named)

        return generating

    @functools.wraps(handler)
    def answering(*values: Any, **named: Any) -> Any:
        _wait_and_load()
        return handler(*values, **named)

    return answering


def _wait_and_load() -> None:
    _may_import.wait()
    engine()
