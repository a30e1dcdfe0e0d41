"""Failed requests: a sentence in the answer, and a line in the log, but never a traceback.

``guard`` covers every handler with the checks of its inputs and outputs; ``GuardedServer`` covers
requests that reach no handler.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
import orjson
from gradio.route_utils import FnIndexInferError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.background import ERRORS, LONGEST
from app.config import hide_paths
from dait.errors import UserError

WRONG_REQUESTS = (LookupError, TypeError, ValueError, FnIndexInferError)
"""What Gradio raises for a request that names what there is not."""

ADVICE = "Reload the page; programs find the parameters at /gradio_api/info."


def guard(page: gr.Blocks) -> None:
    """Turn every exception of a handler of ``page`` into a sentence."""
    process = page.process_api

    async def guarded(block_fn: Any, inputs: Any, *values: Any, **named: Any) -> dict[str, Any]:
        try:
            _require_text(inputs, named.get("event_data"))
            return await process(block_fn, inputs, *values, **named)
        except Exception as error:
            raise gr.Error(_sentence(error, _name(block_fn)), print_exception=False) from error

    page.process_api = guarded  # type: ignore[method-assign]


class GuardedServer:
    """An ASGI middleware that turns exceptions outside of handlers into a sentence."""

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
                # Gradio does not check whether what a request names exists.
                asked_wrongly = isinstance(error, WRONG_REQUESTS)
                answer = JSONResponse({"detail": sentence}, 400 if asked_wrongly else 500)
                await answer(scope, receive, send)


def _sentence(error: Exception, requested: str) -> str:
    if isinstance(error, UserError):
        return _text(hide_paths(str(error)))
    if isinstance(error, gr.Error):  # Gradio's own check of a value
        found = _text(hide_paths(str(error.message)))
        return found if len(found) <= 2 * LONGEST else f"{found[: 2 * LONGEST]}…"
    said = ERRORS.log(error, f"Request {requested}")
    return f"{_text(hide_paths(f'This request failed: {said}'))} {ADVICE}"


def _require_text(inputs: Any, event: Any) -> None:
    """Raise ``UserError`` for lone surrogates, which can be neither stored nor sent back."""
    try:
        orjson.dumps([inputs, getattr(event, "_data", None)], default=lambda value: None)
    except orjson.JSONEncodeError as error:
        raise UserError(f"The request has a value that cannot be stored ({error}).") from None


def _name(block_fn: Any) -> str:
    return str(getattr(block_fn, "api_name", None) or getattr(block_fn, "name", "") or block_fn)


def _text(sentence: str) -> str:
    return sentence.encode(errors="replace").decode()
