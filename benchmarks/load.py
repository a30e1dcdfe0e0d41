"""What visitors wait for when many come at once: predictions, and looking beside them."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import psutil

from benchmarks.serving import PROJECT, draw_photo, serve
from dait.errors import UserError

WARM_UP_SECONDS = 300.0
BETWEEN_LOOKS_SECONDS = 0.5
_BOUNDARY = "dait-bench-load"


def measure_load(
    clients: int = 32,
    seconds: float = 60.0,
    tell: Callable[[str, float], None] = print,
    looking: int = 3,
) -> dict[str, Any]:
    """Median and 95th percentile of what each client waited for, given to ``tell`` once known.

    ``clients`` programs ask ``/predict`` for the networks of the shipped study, each with a
    photograph of its own and its next request as soon as it has the answer. Beside them so many
    visitors are ``looking``: each loads the page, or asks for ``/status`` or for the table of the
    study (``/compare``, computed before), every half second. For each of ``predict``, ``page``,
    ``status`` and ``table``: ``<name>_p50_s``, ``<name>_p95_s`` and ``<name>_count``; also how many
    were ``refused`` because the queue was full, the server's ``server_cpu_s`` for each prediction
    with all that was looked at beside it (which other work on the machine changes least), and the
    machine's ``load``; ``memory_first_mib`` and ``memory_last_mib`` are the server's in the second
    and in the last quarter of the time.

    Raises ``UserError`` where the app does not start or does not answer.
    """
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        with serve(PROJECT / "app.py", folder) as served:
            visitors = _Visitors(served.address)
            photos = [draw_photo(folder / f"{n}.jpg", seed=n).read_bytes() for n in range(clients)]
            visitors.warm_up(photos[0])
            server = psutil.Process(served.process.pid)
            before = sum(server.cpu_times()[:2])
            memory = visitors.come(photos, seconds, looking, server)
            spent = sum(server.cpu_times()[:2]) - before
    figures: dict[str, Any] = {}
    for name, times in sorted(visitors.times.items()):
        for share in (50, 95):
            figures[f"{name}_p{share}_s"] = float(np.percentile(times, share))
        figures[f"{name}_count"] = len(times)
    figures["refused"] = visitors.refused
    figures["server_cpu_s"] = spent / max(1, figures.get("predict_count", 0))
    quarter = max(1, len(memory) // 4)
    figures["memory_first_mib"] = float(np.median(memory[quarter : 2 * quarter] or memory))
    figures["memory_last_mib"] = float(np.median(memory[-quarter:]))
    for name, value in figures.items():
        tell(name, value)
    return figures | {
        "clients": clients,
        "looking": looking,
        "seconds": seconds,
        "load": os.getloadavg()[0],
    }


class _Visitors:
    """Clients of one server, in threads. times: seconds by what was asked for."""

    def __init__(self, address: str) -> None:
        self._host = urlparse(address).netloc
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.refused = 0
        self._lock = threading.Lock()

    def warm_up(self, photo: bytes) -> None:
        """Let the networks be loaded, and everything that is kept be made."""
        deadline = time.monotonic() + WARM_UP_SECONDS
        (study, *_) = [s["study"] for s in self._ask("status", [""]) if s["state"] == "finished"]
        self._study = study
        while not self._predict(self._upload(photo)):
            if time.monotonic() > deadline:
                raise UserError("The app does not predict; look at what it prints.")
        self._ask("compare", [study, None])

    def come(
        self, photos: list[bytes], seconds: float, looking: int, server: psutil.Process
    ) -> list[float]:
        """All at once; everybody leaves after so many seconds, with their last answer.

        Returns the server's memory meanwhile, in MiB.
        """
        end = time.monotonic() + seconds
        looks: dict[str, Callable[[], Any]] = {
            "page": self._page,
            "status": lambda: self._ask("status", [""]),
            "table": lambda: self._ask("compare", [self._study, None]),
        }
        threads = [
            threading.Thread(target=self._repeat, args=(name, look, end, BETWEEN_LOOKS_SECONDS))
            for _, (name, look) in zip(range(looking), itertools.cycle(looks.items()), strict=False)
        ]
        for photo in photos:
            file = self._upload(photo)
            ask = self._asker(file)
            threads.append(threading.Thread(target=self._repeat, args=("predict", ask, end, 0.0)))
        for thread in threads:
            thread.start()
        memory = [server.memory_info().rss / 2**20]
        while time.monotonic() < end:
            time.sleep(BETWEEN_LOOKS_SECONDS)
            memory.append(server.memory_info().rss / 2**20)
        for thread in threads:
            thread.join()
        return memory

    def _asker(self, file: dict[str, Any]) -> Callable[[], Any]:
        return lambda: self._predict(file)

    def _repeat(self, name: str, ask: Callable[[], Any], end: float, pause: float) -> None:
        while time.monotonic() < end:
            start = time.perf_counter()
            answered = ask()
            taken = time.perf_counter() - start
            with self._lock:
                if answered is None:
                    self.refused += 1
                else:
                    self.times[name].append(taken)
            time.sleep(pause if answered is not None else max(pause, 0.2))

    def _predict(self, file: dict[str, Any]) -> Any:
        return self._ask("predict", [self._study, [file]])

    def _page(self) -> bytes:
        return self._request("GET", "/")[1]

    def _ask(self, name: str, data: list[Any]) -> Any:
        """What an endpoint answers; None where the queue is full."""
        path = f"/gradio_api/call/{name}"
        status, body = self._request("POST", path, json.dumps({"data": data}).encode())
        if status == 503:
            return None
        if status != 200:
            raise UserError(f"/{name} answers {status}: {body[:200]!r}.")
        _, stream = self._request("GET", f"{path}/{json.loads(body)['event_id']}")
        event, _, rest = stream.decode().rpartition("event: ")[2].partition("\n")
        if event != "complete":
            raise UserError(f"/{name} answers {event}: {rest[:200]}.")
        return json.loads(rest.partition("data: ")[2])[0]

    def _upload(self, photo: bytes) -> dict[str, Any]:
        head = (
            f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name=files; filename=photo.jpg\r\n"
            "Content-Type: image/jpeg\r\n\r\n"
        )
        body = head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        _, answer = self._request("POST", "/gradio_api/upload", body, kind)
        return {"path": json.loads(answer)[0], "meta": {"_type": "gradio.FileData"}}

    def _request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        connection = HTTPConnection(self._host, timeout=WARM_UP_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            raise UserError(f"The app does not answer ({error!r}).") from error
        finally:
            connection.close()
