"""Protect the server from other websites that are open in a visitor's browser.

A page of another website can send requests to a server of the same machine, and a name that its
owner lets point to 127.0.0.1 (DNS rebinding) makes the browser take both for one site. So a local
server answers only to its machine's own names, and only a public Space accepts requests from other
websites' pages. Starlette's ``TrustedHostMiddleware`` does not check origins, and its answer does
not say what to do.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.config import ANY_HOST, LOOPBACK, AppConfig

MISDIRECTED, FORBIDDEN = 421, 403
_LONGEST = 80
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d+)?")


class Guard:
    """Refuses requests from other websites, and adds security headers to the answers."""

    def __init__(self, app: ASGIApp, config: AppConfig) -> None:
        self._app, self._config = app, config
        self._headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
        if set(config.hosts) == set(LOOPBACK):
            # A Space is shown in a frame of huggingface.co, and others may be shown anywhere.
            mine = "'self' http://localhost:* http://127.0.0.1:* vscode-webview:"
            self._headers["Content-Security-Policy"] = f"frame-ancestors {mine}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        found = refusal(self._config, Headers(scope=scope))
        app = self._app if found is None else PlainTextResponse(found[1], found[0])
        await app(scope, receive, answer)


def refusal(config: AppConfig, headers: Headers) -> tuple[int, str] | None:
    """The status and sentence that refuse a request; None if it is accepted.

    A browser's page cannot choose ``Host`` and ``Origin``, nor send ``X-Forwarded-Host`` to another
    website unasked: that is a proxy's.
    """
    forwarded = headers.get("x-forwarded-host", "").split(",")[0]
    called = [_name(host) for host in (headers.get("host", ""), forwarded) if host]
    for name in called or [""]:
        if ANY_HOST not in config.hosts and name not in config.hosts:
            return MISDIRECTED, (
                f"This server is not known as ‘{name[:_LONGEST]}’. Open it at http://127.0.0.1 or "
                "http://localhost and its port. Where it is meant to be reached by another name, "
                "set DAIT_HOSTS to that name and start it again.\n"
            )
    origin = headers.get("origin")
    if origin is None or config.any_origin:
        return None
    if _name(origin) in (*called, *config.hosts):
        return None
    return FORBIDDEN, (
        f"This server accepts no requests from pages of ‘{origin[:_LONGEST]}’. If that is its own "
        "address behind a proxy, set DAIT_HOSTS to its name and start it again.\n"
    )


def _name(address: str) -> str:
    """The host of an origin or a ``Host``, in lower case and without a port; empty for none."""
    found = _HOST.fullmatch(address.partition("://")[2] or address)
    return found["name"].strip("[]").lower() if found else ""
