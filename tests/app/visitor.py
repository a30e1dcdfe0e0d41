"""A visitor without a browser: requests as the page sends them, or as nobody's page would."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import httpx

SECONDS = 300


class Visitor:
    """One session of a served app. ``presses`` what the page hides from programs, too."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.session = secrets.token_hex(8)
        # Whatever proxy the environment names is not asked for an address of this machine.
        self.http = httpx.Client(base_url=address, timeout=SECONDS, trust_env=False)
        self._config = self.http.get("/config").raise_for_status().json()
        self._components = {part["id"]: part for part in self._config["components"]}

    def calls(self, name: str, *data: Any) -> tuple[bool, Any]:
        """A public endpoint: whether it answered, and its answer or its sentence."""
        posted = self.http.post(f"/gradio_api/call/{name}", json={"data": list(data)})
        if posted.status_code != 200:
            return False, posted.text
        stream = self.http.get(f"/gradio_api/call/{name}/{posted.json()['event_id']}").text
        event, _, rest = stream.rpartition("event: ")[2].partition("\n")
        found = json.loads(rest.partition("data: ")[2])
        return (True, found[0]) if event == "complete" else (False, (found or {}).get("error"))

    def presses(self, element: str, event: str, about: Any = None, **values: Any) -> str:
        """An event of the page's element with this id; what changes, as JSON.

        about: what a browser says of the event; values: of components, by their element's id with
        ``_`` for ``-``; the others are as the page began with them.
        """
        chosen = next(c for c in self._components.values() if self._id(c) == element)
        handler = next(
            d for d in self._config["dependencies"] if [chosen["id"], event] in d["targets"]
        )
        inputs = [self._components[number] for number in handler["inputs"]]
        data = [
            values.get(str(self._id(part)).replace("-", "_"), part["props"].get("value"))
            for part in inputs
        ]
        requested = {
            "data": data,
            "fn_index": handler["id"],
            "trigger_id": chosen["id"],
            "session_hash": self.session,
            "event_data": about,
        }
        self.http.post("/gradio_api/queue/join", json=requested).raise_for_status()
        params = {"session_hash": self.session}
        with self.http.stream("GET", "/gradio_api/queue/data", params=params) as stream:
            for line in stream.iter_lines():
                if '"process_completed"' in line:
                    return line
        raise AssertionError("the event was not answered")

    def uploads(self, file: Path) -> dict[str, Any]:
        """Sends a file; what names it in a later call."""
        sent = {"files": (file.name, file.read_bytes())}
        (path,) = self.http.post("/gradio_api/upload", files=sent).raise_for_status().json()
        return file_named(path)

    @staticmethod
    def _id(part: dict[str, Any]) -> Any:
        return part["props"].get("elem_id")


def file_named(path: str) -> dict[str, Any]:
    """What a program sends in place of a file."""
    return {"path": path, "orig_name": Path(path).name, "meta": {"_type": "gradio.FileData"}}
