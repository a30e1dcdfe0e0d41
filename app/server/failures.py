"""The one door of requests that fail: a sentence to whoever asked, and a line in the log.

Whatever a browser or a program posts, no traceback comes of it: ``guard`` stands around every
handler, its inputs' checks and its outputs; ``GuardedServer`` around what is posted to no handler.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
import orjson
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.background import FAULTS, LONGEST
from app.config import hide_paths
from dait.errors import UserError

ADVICE = "Load the page anew; a program finds what is asked for at /gradio_api/info."


def guard(page: gr.Blocks) -> None:
    """Let every request to a handler of ``page`` that fails end as a sentence."""
    process = page.process_api

    async def guarded(block_fn: Any, inputs: Any, *values: Any, **named: Any) -> dict[str, Any]:
        try:
            _require_text(inputs, named.get("event_data"))
            return await process(block_fn, inputs, *values, **named)
        except Exception as error:
            raise gr.Error(_sentence(error, _name(block_fn)), print_exception=False) from error

    page.process_api = guarded  # type: ignore[method-assign]


class GuardedServer:
    """An ASGI middleware: requests for what is not there, or that are none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if scope["type"] != "http":
                raise
            sentence = _sentence(error, str(scope.get("path"))[:LONGEST])
            if not answered:
                # Gradio looks up what a request names without a look at whether it is there.
                asked_wrongly = isinstance(error, (LookupError, TypeError, ValueError))
                answer = JSONResponse({"detail": sentence}, 400 if asked_wrongly else 500)
                await answer(scope, receive, send)


def _sentence(error: Exception, asked: str) -> str:
    if isinstance(error, UserError):
        return _text(hide_paths(str(error)))
    if isinstance(error, gr.Error):  # Gradio's own check of a value
        found = _text(hide_paths(str(error.message)))
        return found if len(found) <= 2 * LONGEST else f"{found[: 2 * LONGEST]}…"
    said = FAULTS.log(error, f"Request {asked}")
    return _text(hide_paths(f"This request could not be answered: {said} {ADVICE}"))


def _require_text(inputs: Any, event: Any) -> None:
    """Raise ``UserError`` for halves of characters, which can neither be kept nor sent back."""
    try:
        orjson.dumps([inputs, getattr(event, "_data", None)], default=lambda value: None)
    except orjson.JSONEncodeError as error:
        raise UserError(f"What was sent is no text or number that can be kept ({error}).") from None


def _name(block_fn: Any) -> str:
    return str(getattr(block_fn, "api_name", None) or getattr(block_fn, "name", "") or block_fn)


def _text(sentence: str) -> str:
    return sentence.encode(errors="replace").decode()
