"""Requests that another website makes a browser send: raw ones, to a real server."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest
from starlette.datastructures import Headers

from app.config import read_config
from app.server.guard import refusal
from dait.errors import UserError

BOUNDARY = "a-boundary"
UPLOAD = (
    f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=files; filename=a.txt\r\n\r\n"
    f"words\r\n--{BOUNDARY}--\r\n"
)
POSTED = json.dumps({"data": [""]})
WAYS: dict[str, tuple[str, str, str | None, dict[str, str]]] = {
    "page": ("GET", "/", None, {}),
    "head": ("HEAD", "/", None, {}),
    "call": ("POST", "/gradio_api/call/status", POSTED, {"Content-Type": "application/json"}),
    "plain call": ("POST", "/gradio_api/call/status", POSTED, {"Content-Type": "text/plain"}),
    "stream": ("GET", "/gradio_api/queue/data?session_hash=nobody", None, {}),
    "upload": (
        *("POST", "/gradio_api/upload", UPLOAD),
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    ),
    "static file": ("GET", "/theme.css", None, {}),
    "no such page": ("GET", "/nothing", None, {}),
    "preflight": (
        *("OPTIONS", "/gradio_api/call/start", None),
        {"Access-Control-Request-Method": "POST"},
    ),
    "websocket": (
        *("GET", "/gradio_api/queue/join", None),
        {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    ),
}


def answer(address: str, way: str, host: str | None, **headers: str) -> tuple[HTTPResponse, str]:
    """What the server answers to a request with just these headers."""
    method, path, body, own = WAYS[way]
    connection = HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if host is not None:
            connection.putheader("Host", host)
        for name, value in {**own, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        content = (body or "").encode()
        if content:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content or None)
        found = connection.getresponse()
        stream = found.headers.get_content_type() == "text/event-stream"
        return found, "" if stream else found.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_foreign_name_is_refused_whatever_is_asked(app_address: str, way: str) -> None:
    for origin in ({}, {"Origin": "http://evil.example:7860"}):
        found, said = answer(app_address, way, "evil.example:7860", **origin)
        assert found.status in ((421, 403) if way == "websocket" else (421,))
        assert found.headers["Access-Control-Allow-Origin"] is None
        if way not in ("head", "websocket"):
            assert "evil.example" in said and "DAIT_HOSTS" in said and "<" not in said


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1.evil.example", "localhost.evil.example", "evil.example@127.0.0.1:80"),
        *("0.0.0.0:7860", "192.168.0.2", "[::2]:80", "[::1", "evil.example#127.0.0.1", "", None),
    ],
)
def test_no_name_passes_for_the_machines_own(app_address: str, host: str | None) -> None:
    assert answer(app_address, "page", host)[0].status in (400, 421)


def test_the_machines_own_names_are_answered(app_address: str) -> None:
    port = urlsplit(app_address).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "LocalHost", "[::1]"):
        for way in ("page", "call", "upload", "static file", "stream"):
            found, _ = answer(app_address, way, host)
            assert found.status == 200
            assert found.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'self'" in found.headers["Content-Security-Policy"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://", "http://[::1"])
@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "[::1]:80"])
def test_a_foreign_page_is_refused(app_address: str, host: str, origin: str) -> None:
    for way in ("call", "plain call", "upload", "preflight"):
        found, said = answer(app_address, way, host, Origin=origin)
        assert found.status == 403 and "accepts no requests from pages of" in said
        assert found.headers["Access-Control-Allow-Origin"] is None


def test_its_own_pages_are_heard(app_address: str) -> None:
    port = urlsplit(app_address).port
    for origin in (f"http://127.0.0.1:{port}", "http://localhost:3000", f"http://[::1]:{port}"):
        for way in ("call", "upload"):
            assert answer(app_address, way, f"localhost:{port}", Origin=origin)[0].status == 200


def test_a_proxy_that_nobody_spoke_of_is_refused(app_address: str) -> None:
    found, said = answer(app_address, "page", "127.0.0.1:80", X_Forwarded_Host="lab.example.org")
    assert found.status == 421 and "‘lab.example.org’" in said


LAB = "lab.example.org"


@pytest.mark.parametrize(
    ("environment", "headers", "status"),
    [
        ({"DAIT_HOSTS": LAB}, {"host": LAB}, None),
        ({"DAIT_HOSTS": f"x.org, {LAB.upper()}"}, {"host": f"{LAB}:443"}, None),
        ({"DAIT_HOSTS": LAB}, {"host": "localhost:1", "x-forwarded-host": LAB}, None),
        ({"DAIT_HOSTS": LAB}, {"host": LAB, "origin": f"https://{LAB}"}, None),
        ({"DAIT_HOSTS": LAB}, {"host": LAB, "origin": "https://evil.example"}, 403),
        ({"DAIT_HOSTS": LAB}, {"host": "evil.example"}, 421),
        ({"GRADIO_ROOT_PATH": f"https://{LAB}/studio"}, {"host": LAB}, None),
        ({"GRADIO_ROOT_PATH": "/studio"}, {"host": LAB}, 421),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, {"host": "192.168.0.9:7860"}, None),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, {"host": LAB, "origin": f"https://{LAB}"}, None),
        (
            {"GRADIO_SERVER_NAME": "0.0.0.0"},
            {"host": "inner:80", "x-forwarded-host": LAB, "origin": f"https://{LAB}"},
            None,
        ),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, {"host": LAB, "origin": "http://evil.example"}, 403),
        ({"GRADIO_SERVER_NAME": "0.0.0.0", "DAIT_HOSTS": LAB}, {"host": "evil.example"}, 421),
        ({"SPACE_ID": "a/b"}, {"host": "a-b.hf.space", "origin": "https://a-b.hf.space"}, None),
        ({"SPACE_ID": "a/b"}, {"host": "10.1.2.3:7860"}, None),
        ({"SPACE_ID": "a/b"}, {"host": "a-b.hf.space", "origin": "https://huggingface.co"}, None),
    ],
)
def test_real_names_work_where_others_reach_it(
    environment: dict[str, str], headers: dict[str, str], status: int | None
) -> None:
    found = refusal(read_config(environment), Headers(headers))
    assert (found and found[0]) == status


def test_whoever_comes_through_a_proxy_is_a_stranger() -> None:
    assert read_config({"GRADIO_ROOT_PATH": "/studio"}).paths
    for named in ({"DAIT_HOSTS": LAB}, {"GRADIO_ROOT_PATH": f"https://{LAB}/studio"}):
        assert not read_config(named).paths


@pytest.mark.parametrize("names", ["https://lab.example.org", "lab.example.org:80", "a b", "x/y"])
def test_what_is_no_name_is_said(names: str) -> None:
    with pytest.raises(UserError, match="DAIT_HOSTS"):
        read_config({"DAIT_HOSTS": names})
