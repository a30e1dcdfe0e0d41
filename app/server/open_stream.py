"""Keep a page's event stream open for as long as the page is.

Gradio's page closes its event stream when no answer is pending, and opens it again for the next
event. If an event is sent while the server's message to close is on its way, its answer goes to a
stream that nobody reads, and its button stays dead until the page is reloaded. A page that polls
closes its stream all the time. So one event of every page never ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gradio as gr

MOST = 160
"""Pages whose stream is kept open; further ones behave as Gradio's default."""

WORKERS = MOST + 40
"""Events that may run at once: those, and Gradio's default number of others."""

PULSE_SECONDS = 5.0
"""A closed page is noticed at the next pulse."""


class OpenStreams:
    """Counts the pages whose stream is kept open."""

    def __init__(self, most: int = MOST, pulse_seconds: float = PULSE_SECONDS) -> None:
        self.count = 0
        self._most, self._pulse = most, pulse_seconds

    async def hold(self) -> AsyncIterator[None]:
        """Runs until the page is closed; ends immediately if there are too many."""
        if self.count >= self._most:
            return
        self.count += 1
        try:
            while True:
                await asyncio.sleep(self._pulse)
                yield
        finally:
            self.count -= 1


def hold_streams(page: gr.Blocks) -> None:
    """Keep the stream of every page that is opened. Call it within ``page``."""
    page.load(
        OpenStreams().hold,
        None,
        None,
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=None,
    )
