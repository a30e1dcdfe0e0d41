"""Scripts of the whole page: its stream of answers, and its tabs and figures by keyboard."""

from __future__ import annotations

from pathlib import Path

_SCRIPTS = ("streams.js", "tabs.js", "figure_keys.js")


def scripts_head() -> str:
    """What the page's head needs of them. The first one must come before Gradio's own script."""
    folder = Path(__file__).parent
    return "".join(
        f"<script>{(folder / name).read_text(encoding='utf-8')}</script>" for name in _SCRIPTS
    )
