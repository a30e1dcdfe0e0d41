"""How tabs are watched: an error of a page is a fault, what it says as it is left is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from browsing import watched_tabs

pytestmark = pytest.mark.browser

ON_LEAVING = """
addEventListener('beforeunload', () => {
  console.error('the connection is gone');
  Promise.reject(new Error('nobody answers'));
});
"""
SCRIPTS = {
    "/?leaving": ON_LEAVING,
    "/?logging": "console.error('it is broken')",
    "/?raising": "setTimeout(() => { throw new Error('it is broken'); })",
    "/?asking": "fetch('http://localhost:9/')",
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = f"<!doctype html><link rel=icon href=data:,><script>{SCRIPTS.get(self.path, '')}"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"{page}</script>".encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_what_a_page_says_as_it_is_left_is_no_fault(browser: Any, address: str) -> None:
    with watched_tabs(browser, address) as open_tab:
        page = open_tab("?leaving")
        page.reload()
        page.goto(f"{address}/?quiet")


@pytest.mark.parametrize("fault", ["logging", "raising", "asking"])
def test_a_fault_is_told(browser: Any, address: str, fault: str) -> None:
    with (
        pytest.raises(pytest.fail.Exception, match=r"it is broken|asked http://localhost:9"),
        watched_tabs(browser, address) as open_tab,
    ):
        open_tab(f"?{fault}").wait_for_timeout(100)


def test_the_page_after_one_that_was_left_is_watched(browser: Any, address: str) -> None:
    with (
        pytest.raises(pytest.fail.Exception, match="it is broken"),
        watched_tabs(browser, address) as open_tab,
    ):
        page = open_tab("?leaving")
        page.goto(f"{address}/?logging")
