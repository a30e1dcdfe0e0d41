"""What is kept of visitors, however many there were."""

from __future__ import annotations

import tracemalloc

import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from app.config import AppConfig
from app.page import build_page
from app.queue.training_queue import TrainingQueue
from app.serve import lifespan
from app.server import sessions

MOST_BYTES = 100_000


def test_the_oldest_session_is_forgotten_and_each_is_small(
    empty_config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 20)
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    app = App.create_app(page, app_kwargs={"lifespan": lifespan(empty_config)})
    chosen = next(i for i, block in page.blocks.items() if block.__class__.__name__ == "State")
    with TestClient(app, base_url="http://127.0.0.1"):
        kept = app.state_holder
        kept["a visitor"][chosen] = "a choice"
        kept["a program"]
        tracemalloc.start()
        try:
            for number in range(50):
                kept[f"new {number}"]
            spent = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert len(kept.session_data) == len(kept.time_last_used) == 20
    assert "a program" not in kept and "new 49" in kept
    assert kept["a visitor"][chosen] == "a choice"  # who looks at one page all the time
    assert spent / 20 < MOST_BYTES


def test_visitors_are_forgotten_too(
    empty_config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 20)
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    chosen = next(i for i, block in page.blocks.items() if block.__class__.__name__ == "State")
    kept = sessions.Sessions(page)
    for number in range(50):
        kept[f"visitor {number}"][chosen] = number
    assert list(kept.session_data) == [f"visitor {number}" for number in range(30, 50)]
    assert len(kept.time_last_used) == 20


def test_a_session_remembers_what_a_component_became(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    kept = sessions.Sessions(page)
    number, box = next(
        (i, b) for i, b in page.blocks.items() if getattr(b, "elem_id", "") == "name"
    )
    mine = kept["mine"]
    assert mine[number] is box
    mine[number] = box.__class__(label="Mine")
    assert kept["mine"][number].label == "Mine" and kept["other"][number] is box
