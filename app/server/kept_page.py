"""The page itself, rendered once: Gradio does it for every visitor, a tenth of a second each."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = 8
"""Addresses of one server that the page is kept for; it names its own in a few places."""
ADDRESS_HEADERS = ("host", "x-forwarded-host", "x-forwarded-proto")
"""What Gradio takes the page's own address from."""
RENDERED_BY = ("deep_link", "page")
"""Parameters that change what Gradio renders; what else stands in the address is the browser's."""


class KeptPage:
    """Answers ``GET /`` with what the app answered before, compressed where the browser takes it.

    For pages that look the same to everybody, such as those without a login.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._pages: OrderedDict[tuple[Any, ...], tuple[bytes, bytes]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_page(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        address = [headers.get(name) for name in ADDRESS_HEADERS]
        key = (scope["scheme"], scope.get("root_path"), *address)
        if key not in self._pages:
            answer = await self._rendered(scope, receive)
            if answer.status_code != 200:
                await answer(scope, receive, send)
                return
            body = bytes(answer.body)
            self._pages[key] = (body, gzip.compress(body, mtime=0))
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(key)
        plain, compressed = self._pages[key]
        kept = Response(plain, media_type="text/html", headers={"Vary": "Accept-Encoding"})
        if "gzip" in headers.get("accept-encoding", ""):
            kept.body = compressed
            kept.headers.update(
                {"Content-Encoding": "gzip", "Content-Length": str(len(compressed))}
            )
        await kept(scope, receive, send)

    async def _rendered(self, scope: Scope, receive: Receive) -> Response:
        """The app's answer, whole and not compressed."""
        others = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        answer, body = Response(), bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status_code, answer.raw_headers = message["status"], message["headers"]
            else:
                body.extend(message.get("body", b""))

        await self._app({**scope, "headers": others}, receive, collect)
        answer.body = bytes(body)
        return answer


def _is_page(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
        return False
    query = QueryParams(scope["query_string"])
    return not any(name in query for name in RENDERED_BY)
