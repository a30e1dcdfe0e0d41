"""The state of each visitor's session, without Gradio's copy of the whole page.

Gradio stores a description of every component per session, for links that restore a page; ours work
differently (``app.compare.view_link``). That took 40 ms of the event loop and half a MiB for every
program that called an endpoint.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

MOST = 1000
"""Sessions that are kept. For a new one the least recently active is dropped: of a program, whose
every call may be a new session, before that of an open page, which holds what was chosen there."""


class Session(SessionState):
    """A session that stores a component only when it differs from the page's."""

    def __init__(self, page: gr.Blocks) -> None:
        bare: Any = SimpleNamespace(default_config=page.default_config, blocks={})
        super().__init__(bare)


class Sessions(StateHolder):
    """The sessions of a page, at most ``MOST``."""

    def __init__(self, page: gr.Blocks) -> None:
        super().__init__()
        page.state_session_capacity = MOST
        self.set_blocks(page)

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self.blocks)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        """Mark a session as active, and drop another where there are too many."""
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            if len(self.session_data) > self.capacity:
                others = [name for name in self.session_data if name != session_id]
                programs = (name for name in others if not self.session_data[name].state_data)
                dropped = next(programs, others[0])
                del self.session_data[dropped]
                self.time_last_used.pop(dropped, None)
