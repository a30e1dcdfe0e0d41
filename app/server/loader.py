"""The heavy libraries, imported behind the served page by one thread at a time.

Two threads that import SciPy or PyTorch at once can each find the other's half of a package that
imports itself in a circle; Python then leaves it broken until the server is restarted. So no
handler of the page runs before the libraries are there, but for those marked ``light``.

The import keeps Python busy for many seconds, so it gives way to the first visitor: it begins once
a page has its first view, or after ``PATIENCE_SECONDS``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

from app.background import FAULTS

HEAVY = (
    "scipy.stats",
    "scipy.linalg",
    "scipy.io",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.manifold",
    "sklearn.metrics",
    "sklearn.preprocessing",
    "plotly.graph_objects",
    "torch",
    "timm",
    "open_clip",
    "pytorch_grad_cam",
    "pytorch_grad_cam.metrics.road",
    "dait.evidence.comparison",
    "dait.evidence.heatmaps.cam",
    "dait.evidence.search",
    "dait.data.archives.archive",
    "dait.data.report",
    "dait.models.facts",
    "dait.teachers.openclip.demo",
    "dait.teachers.registry",
    "dait.teachers.zero_shot",
    "dait.study.context",
)
"""What the handlers import when they first need it."""

PATIENCE_SECONDS = 10.0
"""How long the import waits for a first visitor."""

_LOCK = threading.Lock()
_here = threading.Event()
_their_turn = threading.Event()
_their_turn.set()

Handler = TypeVar("Handler", bound=Callable[..., Any])


def import_libraries() -> None:
    """Returns when the heavy libraries are there; the first caller imports them."""
    if _here.is_set():
        return
    with _LOCK:
        if not _here.is_set():
            for name in HEAVY:
                importlib.import_module(name)
            _share_the_processors()
            _here.set()


def _share_the_processors() -> None:
    """Half of them for a forward pass: two requests with as many threads each as there are
    processors spend their time waiting for one another (a pass took ten times as long)."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))


def let_the_first_view_pass() -> None:
    """From now on handlers that need the libraries wait for ``first_view_is_out`` too.

    Call it before the page is served, and ``import_behind_the_page`` afterwards.
    """
    _their_turn.clear()


def first_view_is_out() -> None:
    """A visitor sees the first view: what takes longer may begin."""
    _their_turn.set()


def import_behind_the_page() -> None:
    """Import the libraries in a thread, when it is their turn."""

    def wait_and_import() -> None:
        _their_turn.wait(PATIENCE_SECONDS)
        _their_turn.set()
        with FAULTS.noted("Importing the libraries"):  # whoever needs them tries again
            import_libraries()

    threading.Thread(target=wait_and_import, name="libraries", daemon=True).start()


def light(handler: Handler) -> Handler:
    """Mark a handler that needs none of them and is answered at once."""
    handler.__dict__["needs_no_libraries"] = True
    return handler


def hold_back(page: gr.Blocks) -> None:
    """Let every handler of ``page`` that is not ``light`` wait for the libraries."""
    for block_function in page.fns.values():
        if block_function.fn is not None:
            block_function.fn = _held_back(block_function.fn)


def _held_back(handler: Callable[..., Any]) -> Callable[..., Any]:
    plain = getattr(handler, "__func__", handler)
    asynchronous = inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)
    if asynchronous or getattr(plain, "needs_no_libraries", False):
        return handler

    if inspect.isgeneratorfunction(plain):

        @functools.wraps(handler)
        def generating(*values: Any, **named: Any) -> Iterator[Any]:
            _in_their_turn()
            yield from handler(*values, **named)

        return generating

    @functools.wraps(handler)
    def answering(*values: Any, **named: Any) -> Any:
        _in_their_turn()
        return handler(*values, **named)

    return answering


def _in_their_turn() -> None:
    _their_turn.wait()
    import_libraries()
