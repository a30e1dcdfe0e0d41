"""The heavy libraries, imported behind the served page by one thread at a time.

Two threads that import SciPy or PyTorch at once can each find the other's half of a package that
imports itself in a circle; Python then leaves it broken until the server is restarted. So no
handler of the page runs before the libraries are there, but for those marked ``light``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

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
    "dait.evidence.heatmaps",
    "dait.evidence.search",
    "dait.data.archive",
    "dait.data.report",
    "dait.models.facts",
    "dait.teachers.demo",
    "dait.teachers.registry",
    "dait.teachers.zero_shot",
    "dait.workbench",
)
"""What the handlers import when they first need it."""

_LOCK = threading.Lock()
_here = threading.Event()

Handler = TypeVar("Handler", bound=Callable[..., Any])


def import_libraries() -> None:
    """Returns when the heavy libraries are there; the first caller imports them."""
    if _here.is_set():
        return
    with _LOCK:
        if not _here.is_set():
            for name in HEAVY:
                importlib.import_module(name)
            _here.set()


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
            import_libraries()
            yield from handler(*values, **named)

        return generating

    @functools.wraps(handler)
    def answering(*values: Any, **named: Any) -> Any:
        import_libraries()
        return handler(*values, **named)

    return answering
