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
"""Sessions that are kept. The least recently active one is dropped for a new one; an open page is
active every few seconds."""


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
