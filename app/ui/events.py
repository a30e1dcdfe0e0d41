"""How handlers are wired to events of the page, whatever they do."""

from __future__ import annotations

from typing import Any

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""No endpoint for programs."""
QUIET: dict[str, Any] = {**PRIVATE, "show_progress": "hidden"}
"""Besides, the page does not show that it waits."""
UNLIMITED: dict[str, Any] = {**QUIET, "concurrency_limit": None}
"""Besides, any number at once: what takes no time does not wait for others."""
LAST: dict[str, Any] = {"trigger_mode": "always_last"}
"""Of the events that come while an earlier one is answered, the last is answered too; Gradio would
drop it. What is put off loses its event's data."""
EVERY: dict[str, Any] = {"trigger_mode": "multiple"}
"""Each is answered, whatever came before: for events that carry what was pressed."""
