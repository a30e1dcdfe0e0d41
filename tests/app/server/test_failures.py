"""Requests that no page of ours sends: a sentence to whoever asked, a line in the log at most."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from starlette.middleware import Middleware

from app.background import ERRORS
from app.config import hide_paths
from app.server.failures import GuardedServer, guard
from dait.errors import UserError

WORDS = ("detail", "error")


def post(http: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
    from json import dumps

    # As it is: httpx itself would refuse halves of characters.
    content = dumps(body).encode()
    return http.post(
        f"/gradio_api{path}", content=content, headers={"content-type": "application/json"}
    )


def said(answer: httpx.Response) -> str:
    """The sentence of an answer, which must be one; empty where it is no refusal."""
    found = answer.json()
    text = " ".join(str(found[word]) for word in WORDS if found.get(word))
    assert "Traceback" not in answer.text and "site-packages" not in answer.text
    assert answer.status_code == 200 or text, answer.text
    return text


@pytest.fixture(scope="module")
def small() -> Iterator[httpx.Client]:
    """A page with handlers that stumble over what they do not expect."""

    def refuse(text: str) -> str:
        raise UserError("/srv/runs/x/study.json is damaged.")

    def stumble(text: str) -> str:
        return str({"a": 1}[text])

    with gr.Blocks() as page:
        text, number = gr.Textbox(), gr.Number()
        choice = gr.Dropdown(["one", "two"])
        gr.Button().click(refuse, text, text, api_name="refuse")
        gr.Button().click(stumble, text, text, api_name="stumble")
        gr.Button().click(lambda n, c: f"{n}{c}", [number, choice], text, api_name="both")
        gr.Button().click(lambda t: t, text, text, api_name="echo")
    guard(page)
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        app_kwargs={"middleware": [Middleware(GuardedServer)]},
        ssr_mode=False,
    )
    with httpx.Client(base_url=address.rstrip("/"), timeout=60, trust_env=False) as http:
        yield http
    page.close()


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/run/refuse", {"data": ["x"]}, "study.json is damaged."),
        ("/run/stumble", {"data": ["x"]}, "KeyError"),
        ("/run/both", {"data": [1]}, "enough input"),
        ("/run/both", {"data": [1, "three"]}, "three"),
        ("/run/echo", {"data": ["\ud800"]}, "a value that cannot be stored"),
        ("/run/nothing", {"data": []}, "nothing"),
        ("/run/echo", {"data": [], "fn_index": 999}, "999"),
        ("/call/nothing", {"data": []}, "parameters at /gradio_api/info"),
        ("/call/v2/nothing", {"a": 1}, "nothing"),
        ("/queue/join", {"data": [], "fn_index": 999, "session_hash": "abc"}, "999"),
        ("/queue/join", {"data": "no list", "fn_index": 0, "session_hash": "abc"}, "list"),
        ("/queue/join", {"data": ["\ud800"], "fn_index": "\ud800"}, ""),
    ],
)
def test_a_wrong_request_gets_a_sentence_and_one_line(
    small: httpx.Client,
    path: str,
    body: dict[str, Any],
    sentence: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        answers = [said(post(small, path, body)) for _ in range(3)]
    assert all(sentence in answer and answer for answer in answers), answers
    assert "/srv" not in answers[0]
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out + caplog.text
    assert len(caplog.records) <= 1


def test_what_is_asked_rightly_is_answered(small: httpx.Client) -> None:
    assert post(small, "/run/echo", {"data": ["Größe"]}).json()["data"] == ["Größe"]


def test_sentences_hold_no_path_of_the_machine(tmp_path: Path) -> None:
    home = Path.home()
    for path in (home / ".cache/dait/a b", tmp_path / "x", Path("/opt/venv/lib/site-packages/y")):
        found = hide_paths(f'‘{path}’ is damaged ({path}). File "{path}", line 3')
        assert str(path.parent) not in found and path.name.split()[-1] in found
    assert hide_paths("and/or 3/4 of https://a.b/c, hf:owner/name") == (
        "and/or 3/4 of https://a.b/c, hf:owner/name"
    )
    with ERRORS.noted("A test"):
        raise OSError(2, "No such file", "/srv/data/x")
    with ERRORS.noted("A test"):
        pass
