"""The page is rendered once for each name of the server."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server.kept_page import KEPT, KeptPage

ASKED = {"accept-encoding": "gzip, br"}


def client_of(answers: list[str], status: int = 200) -> TestClient:
    """A client of an app that says where it was asked for; answers: gets the path of each."""

    async def page(request: Request) -> HTMLResponse:
        answers.append(str(request.url))
        return HTMLResponse(f"<p>{request.url.hostname}</p>" * 400, status)

    async def other(request: Request) -> PlainTextResponse:
        answers.append(str(request.url))
        return PlainTextResponse("other")

    app: Any = Starlette(routes=[Route("/", page), Route("/config", other)])
    return TestClient(KeptPage(GZipMiddleware(app)), base_url="http://127.0.0.1")


def test_it_is_rendered_once_whatever_the_browser_adds_to_the_address() -> None:
    answers: list[str] = []
    client = client_of(answers)
    pages = [client.get(path, headers=ASKED) for path in ("/", "/?study=demo&tab=train", "/?x")]
    assert len(answers) == 1
    assert {page.text for page in pages} == {"<p>127.0.0.1</p>" * 400}
    assert {page.headers["content-encoding"] for page in pages} == {"gzip"}
    assert int(pages[0].headers["content-length"]) < 400
    plain = client.get("/", headers={"accept-encoding": "identity"})
    assert plain.text == pages[0].text and "content-encoding" not in plain.headers
    assert plain.headers["content-type"] == "text/html; charset=utf-8"
    assert len(answers) == 1


def test_another_name_of_the_server_has_a_page_of_its_own() -> None:
    answers: list[str] = []
    client = client_of(answers)
    for name in ("localhost", "studio.example", "localhost"):
        assert client.get("/", headers={"host": name}).text.startswith(f"<p>{name}</p>")
    client.get("/", headers={"x-forwarded-proto": "https"})
    assert len(answers) == 3
    for number in range(2 * KEPT):  # names are not collected for good
        client.get("/", headers={"host": f"{number}.example"})
    client.get("/", headers={"host": "localhost"})
    assert len(answers) == 3 + 2 * KEPT + 1


def test_all_else_is_answered_by_the_app() -> None:
    answers: list[str] = []
    client = client_of(answers)
    for path in ("/?deep_link=1", "/?page=two", "/config"):
        assert client.get(path).status_code == client.get(path).status_code == 200
    assert client.head("/").status_code == 200
    assert len(answers) == 7
    failing = client_of(answers, status=503)
    assert [failing.get("/").status_code for _ in range(2)] == [503, 503]
    assert len(answers) == 9
