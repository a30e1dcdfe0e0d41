"""A page's stream of answers, held open for as long as the page is.

Gradio's page closes the stream on which it hears answers whenever none is awaited, and opens it
again for the next event. An event that is sent while the server's word to close is still on its way
is answered on a stream that nobody reads any more: its button stays dead until the page is loaded
anew. A page that polls closes its stream all the time. So one event of every page never ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gradio as gr

MOST = 160
"""Pages held at once. Further ones do as Gradio does by itself."""

WORKERS = MOST + 40
"""Events that the server may have under way: those, and as many others as is Gradio's default."""

PULSE_SECONDS = 5.0
"""A page that is gone is noticed at the next pulse."""


class Held:
    """Counts the pages that are held; one for all of them."""

    def __init__(self, most: int = MOST, pulse_seconds: float = PULSE_SECONDS) -> None:
        self.count = 0
        self._most, self._pulse = most, pulse_seconds

    async def hold(self) -> AsyncIterator[None]:
        """Goes on until the page is closed; ends at once where too many are held."""
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
    """Let every page that is opened keep its stream. Call it within ``page``."""
    page.load(
        Held().hold,
        None,
        None,
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=None,
    )
