"""Any number of tabs of one browser: a connection only while answers are pending."""

from __future__ import annotations

from pathlib import Path

_SCRIPT = Path(__file__).with_name("streams.js")


def streams_head() -> str:
    """The script in the page's head between Gradio's page and its stream of answers."""
    return f"<script>{_SCRIPT.read_text(encoding='utf-8')}</script>"
