"""A served app that is asked raw: every event of its page, and all that it answers."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from visitor import Visitor

DEEP = 150
FOREIGN = [
    "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/a.jpg",
    "../demo", "demo/../../..", "C:\\windows", "\x00", "%2e%2e%2f", "upload:../x.zip", "a" * 5000,
]  # fmt: skip


def deep(levels: int) -> Any:
    """Lists within lists."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


HOSTILE: dict[str, Any] = {
    "nothing": None,
    "a huge number": 10**30,
    "a negative one": -5,
    "a fraction": 1.5,
    "true": True,
    "lists": [[1, 2], {"a": None}],
    "many": list(range(3000)),
    "an update": {"path": "/etc/passwd", "url": "file:///etc/passwd", "__type__": "update"},
    "a file": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    "a file of the runs": {
        "path": "../runs",
        "orig_name": "x",
        "meta": {"_type": "gradio.FileData"},
    },
    "half a character": "\ud800",
    "deep": deep(DEEP),
    "markup": "<img src=x onerror=alert(1)>",
    **{f"text {number}": text for number, text in enumerate(FOREIGN)},
}
EVENTS: list[Any] = [
    {"index": 10**9, "study": ["x"], "path": 5, "value": deep(DEEP)},
    {"study": "../../etc", "run": "/etc/passwd", "index": "x", "value": None},
    None,
]


@dataclass
class Asked:
    """One session that posts raw events and reads what comes of them."""

    visitor: Visitor
    faults: list[str] = field(default_factory=list)
    answered: int = 0

    def handlers(self) -> list[dict[str, Any]]:
        """Every event of the page that this server handles, private ones too."""
        return [one for one in self.visitor._config["dependencies"] if one["backend_fn"]]

    def all_of(self, handler: dict[str, Any], bodies: list[list[Any]], event: Any) -> list[str]:
        """Post each of these as the inputs of a handler; every answer as text."""
        session, texts, waiting = secrets.token_hex(8), list[str](), 0
        for data in bodies:
            posted = {
                "data": data, "fn_index": handler["id"], "session_hash": session,
                "trigger_id": None, "event_data": event,
            }  # fmt: skip
            answer = self.post("/gradio_api/queue/join", posted)
            texts.append(answer.text)
            if answer.status_code == 200:
                waiting += 1
            elif answer.status_code >= 500 and answer.status_code != 503:
                self.faults.append(f"{answer.status_code} {answer.text[:300]}")
            elif not any(word in answer.text for word in ("detail", "error")):
                self.faults.append(f"no sentence: {answer.status_code} {answer.text[:300]}")
        if not waiting:
            return texts
        with self.visitor.http.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": session}
        ) as stream:
            for line in stream.iter_lines():
                texts.append(line)
                waiting -= '"process_completed"' in line
                self.answered += '"process_completed"' in line
                if not waiting:
                    break
        return texts

    def post(self, path: str, body: Any) -> httpx.Response:
        """A body as it is: httpx itself would refuse halves of characters."""
        content = json.dumps(body).encode()
        return self.visitor.http.post(
            path, content=content, headers={"content-type": "application/json"}
        )


def secrets_of(folders: list[Path]) -> list[str]:
    """What no answer may hold: folders of the machine, and words of a traceback."""
    return [*(f"{folder}/" for folder in folders), "Traceback (most", "site-packages", "root:x:0"]
