"""A server on this machine that speaks the Hugging Face hub's protocol: downloads and uploads."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from local_server import serve

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_of_the_tests"
"""The one token that may write, in repositories of ``anna``."""


@dataclass
class Pushed:
    """A repository that was made: what it was asked for, and its files."""

    kind: str
    private: bool
    sdk: str | None
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class HubServer:
    """``repos`` by name, their files by name; ``asked`` has method, path and Range.

    ``faults`` are used up by one GET each: ``break:N`` ends the connection after N bytes,
    ``status:N`` answers N. ``refusals`` answer every request for a repository: a status and the
    hub's error code. ``claims`` are lengths that HEAD states instead of the true ones. ``pushed``
    are repositories that were made, by kind and name; of ``large`` bytes and more, files come by
    LFS. ``upload_fault`` answers every upload of a large file.
    """

    address: str
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    pushed: dict[tuple[str, str], Pushed] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    large: int = 1000
    upload_fault: int | None = None


def hub_serving() -> AbstractContextManager[HubServer]:
    return serve(_Handler, HubServer)


def point_hub_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """What ``HF_ENDPOINT`` does to a process that starts with it."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    # A part that breaks off before the first chunk is full is not kept: smaller chunks here.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 2**18)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            self._api_get()
        else:
            self._answer(body=True)

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        if path == "/api/validate-yaml":
            readme = json.loads(body)["content"]
            bad = not readme.startswith("---\n")
            self._json(200, {"warnings": [{"message": "empty"}] if bad else [], "errors": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path.endswith("/preupload/main"):
            self._preupload(json.loads(body))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._lfs_batch(json.loads(body))
        elif "/commit/" in path:
            self._commit(path, body)
        else:
            self._refuse(404, "")

    def do_PUT(self) -> None:
        """The bytes of a large file."""
        data, server = self._body(), self._server
        if server.upload_fault is not None:
            self._refuse(server.upload_fault, "")
            return
        server.blobs[hashlib.sha256(data).hexdigest()] = data
        self._json(200, {})

    def do_DELETE(self) -> None:
        wanted = json.loads(self._body())
        name = f"{wanted['organization']}/{wanted['name']}"
        found = self._server.pushed.pop((wanted.get("type") or "model", name), None)
        self._json(200 if found else 404, {})

    @property
    def _server(self) -> HubServer:
        server: HubServer = self.server.owner  # type: ignore[attr-defined]
        return server

    def _body(self) -> bytes:
        self._server.asked.append((self.command, self.path, None))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _api_get(self) -> None:
        self._server.asked.append(("GET", self.path, None))
        kind, _, name = self.path.partition("?")[0].removeprefix("/api/").partition("/")
        name = name.removesuffix("/revision/main")
        found = self._server.pushed.get((kind.removesuffix("s"), name))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" or found is None:
            self._refuse(401, "RepoNotFound")
            return
        siblings = [{"rfilename": file} for file in found.files]
        self._json(200, {"id": name, "private": found.private, "siblings": siblings, "tags": []})

    def _create(self, wanted: dict[str, Any]) -> None:
        server, kind = self._server, wanted.get("type") or "model"
        name = f"{wanted['organization']}/{wanted['name']}"
        address = f"{server.address}/{'spaces/' if kind == 'space' else ''}{name}"
        if wanted["organization"] != "anna":
            self._json(403, {"error": "You don't have the rights to create a repository there"})
        elif (kind, name) in server.pushed:
            self._json(409, {"error": "You already created this repo", "url": address})
        else:
            private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
            server.pushed[kind, name] = Pushed(kind, private, wanted.get("sdk"))
            self._json(200, {"url": address, "name": name, "id": COMMIT})

    def _preupload(self, wanted: dict[str, Any]) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= self._server.large else "regular",
                "shouldIgnore": False,
            }
            for file in wanted["files"]
        ]
        self._json(200, {"files": files})

    def _lfs_batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for one in wanted["objects"]:
            upload = {"href": f"{self._server.address}/lfs/{one['oid']}", "header": {}}
            there = one["oid"] in self._server.blobs
            objects.append({**one, **({} if there else {"actions": {"upload": upload}})})
        self._json(200, {"transfer": "basic", "objects": objects})

    def _commit(self, path: str, body: bytes) -> None:
        kind, _, rest = path.removeprefix("/api/").partition("/")
        server, name = self._server, rest.partition("/commit/")[0]
        pushed = server.pushed[kind.removesuffix("s"), name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            match line["key"]:
                case "header":
                    pushed.commits.append(value["summary"])
                case "file":
                    pushed.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    pushed.files[value["path"]] = server.blobs[value["oid"]]
        address = f"{server.address}/{name}/commit/{COMMIT}"
        self._json(200, {"commitUrl": address, "commitOid": COMMIT, "success": True})

    def _answer(self, body: bool) -> None:
        server = self._server
        wanted = self.headers.get("Range")
        server.asked.append((self.command, self.path, wanted))
        repo, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if repo in server.refusals:
            status, code = server.refusals[repo]
            self._refuse(status, code)
        elif repo not in server.repos:
            self._refuse(401, "RepoNotFound")  # what the hub answers to strangers
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif name not in server.repos[repo]:
            self._refuse(404, "EntryNotFound")
        else:
            self._file(server, name, server.repos[repo][name], wanted, body)

    def _file(
        self, server: HubServer, name: str, data: bytes, wanted: str | None, body: bool
    ) -> None:
        fault, _, number = (server.faults.pop(0) if body and server.faults else "").partition(":")
        if fault == "status":
            self._refuse(int(number), "")
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        part = data[start:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self._describe(data, server.claims.get(name, len(data)))
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if not body:
            return
        self.wfile.write(part[: int(number)] if fault == "break" else part)
        self.wfile.flush()
        if fault == "break":
            self.close_connection = True

    def _describe(self, data: bytes, length: int) -> None:
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(length))

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if code in ("EntryNotFound", "RevisionNotFound"):
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Says nothing: the tests look at ``asked``."""
