"""Pages for a phone: served as long as their file is there, and told by a QR code."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.export.pages import StudentPages, page_link


def test_a_page_is_served_as_long_as_it_is_there(tmp_path: Path) -> None:
    pages, file = StudentPages(), tmp_path / "birds.html"
    file.write_text("<h1>Birds</h1>", encoding="utf-8")
    client = TestClient(Starlette(routes=[pages.route]))
    address = pages.add(file)
    answer = client.get(f"/{address}")
    assert answer.text == "<h1>Birds</h1>" and answer.headers["content-type"].startswith(
        "text/html"
    )
    assert "attachment" not in answer.headers.get("content-disposition", "")
    assert client.get("/student/another").status_code == 404
    file.unlink()
    gone = client.get(f"/{address}")
    assert gone.status_code == 404 and "again" in gone.text


def test_a_code_is_shown_where_a_phone_can_open_it() -> None:
    here = page_link("student/x", "http://127.0.0.1:7860/?tab=train")
    assert 'href="http://127.0.0.1:7860/student/x"' in here and "<svg" not in here
    there = page_link("student/x", "https://host.example/behind/?tab=train")
    assert 'href="https://host.example/behind/student/x"' in there and "<svg" in there
    assert "<script" not in page_link("student/x", 'https://host.example/"><script>')
