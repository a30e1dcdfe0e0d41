"""Handlers whose first output is a notice: what is wrong is said there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from app.ui.notice import notice
from dait.errors import UserError

KEPT = object()
"""Stands for an output that still holds what it held."""


def shows_errors(*otherwise: Any) -> Callable[[Callable[..., list[Any]]], Callable[..., list[Any]]]:
    """A handler whose first output is a notice: a ``UserError`` is said there.

    The other outputs then get ``otherwise``: ``KEPT`` where what was there still holds.
    """

    def decorate(handler: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        @wraps(handler)
        def telling(*values: Any) -> list[Any]:
            try:
                return handler(*values)
            except UserError as error:
                rest = [gr.skip() if value is KEPT else value for value in otherwise]
                return [notice(str(error)), *rest]

        return telling

    return decorate
