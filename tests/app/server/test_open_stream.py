"""How many pages are held, and for how long."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from app.server.open_stream import OpenStreams


def test_a_page_is_held_until_it_is_closed_and_no_more_than_there_is_room_for() -> None:
    async def story() -> None:
        held = OpenStreams(most=1, pulse_seconds=0.001)
        first = held.hold()
        await first.__anext__()
        await first.__anext__()
        assert held.count == 1
        assert [pulse async for pulse in held.hold()] == []  # no room
        await first.aclose()  # type: ignore[attr-defined]
        assert held.count == 0

    with ThreadPoolExecutor(1) as elsewhere:  # a browser test may have left its loop to this thread
        elsewhere.submit(asyncio.run, story()).result()
