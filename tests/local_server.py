"""A real server on this machine that stands in for one of the internet's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

Owner = TypeVar("Owner")


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler], owner: Callable[[str], Owner]) -> Iterator[Owner]:
    """``owner(address)``, which the handler finds as ``self.server.owner``, while it is served."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    httpd.daemon_threads = True
    server = owner(f"http://127.0.0.1:{httpd.server_address[1]}")
    httpd.owner = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
