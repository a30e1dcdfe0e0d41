"""A folder of files to a repository of the Hugging Face hub: a model, or a Space around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from dait.errors import UserError
from dait.events import Emit, Note, ignore
from dait.storage.files import format_bytes

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_TROUBLES = (HTTPError, OSError, RuntimeError, ValueError)
"""What the hub's library raises, and what the system does: a refused connection."""


class Repository:
    """A repository of the hub that is to be written. Every refusal is a ``UserError``."""

    def __init__(self, name: str, space: bool = False) -> None:
        """name: ``OWNER/NAME``; the token is where the hub's own tools keep it."""
        if not _REPO.fullmatch(name) or ".." in name or "--" in name or name.endswith(".git"):
            raise UserError(
                f"‘{name}’ is no name of a repository: give its owner and its name, as in "
                "anna/garden-birds (letters, digits, dots, dashes and underscores)."
            )
        self.name, self.space = name, space
        self.kind = "space" if space else "model"

    @property
    def address(self) -> str:
        """Of its page."""
        return f"{constants.ENDPOINT}/{'spaces/' if self.space else ''}{self.name}"

    def require_allowed(self, overwrite: bool = False) -> None:
        """Refuse before anything is made: no token, no connection, a repository that exists."""
        api = self._api()
        try:
            if api.repo_exists(self.name, repo_type=self.kind) and not overwrite:
                raise self._exists()
        except _TROUBLES as error:
            raise UserError(self._explain(error)) from error

    def push(
        self,
        folder: Path,
        message: str,
        public: bool = False,
        overwrite: bool = False,
        emit: Emit = ignore,
    ) -> str:
        """Upload every file of a folder as one commit; the address of the repository.

        public: of a new repository. overwrite: replace files of one that exists; others in it stay,
        and so does its visibility. Where an upload fails, a repository that was made for it is
        removed.
        """
        api = self._api()
        made = False
        try:
            try:
                api.create_repo(
                    self.name,
                    repo_type=self.kind,
                    private=not public,
                    space_sdk="gradio" if self.space else None,
                )
                made = True
            except HfHubHTTPError as error:
                if error.response is None or error.response.status_code != 409:
                    raise
                if not overwrite:
                    raise self._exists() from error
            size = format_bytes(sum(listed(folder).values()))
            emit(Note(f"uploading {size} to {self.address}"))
            api.upload_folder(
                repo_id=self.name,
                repo_type=self.kind,
                folder_path=folder,
                commit_message=message,
            )
        except _TROUBLES as error:
            left = self._removed(api) if made else ""
            raise UserError(self._explain(error) + left) from error
        except BaseException:
            if made:
                self._removed(api)
            raise
        return self.address

    def _removed(self, api: HfApi) -> str:
        """Remove the repository that this push made; a sentence where that fails."""
        try:
            api.delete_repo(self.name, repo_type=self.kind)
        except _TROUBLES:
            return f" The empty repository {self.address} is left: delete it in its settings."
        return ""

    def _api(self) -> HfApi:
        if constants.is_offline_mode():
            raise UserError("HF_HUB_OFFLINE forbids to ask the hub. Unset it to push.")
        token = huggingface_hub.get_token()
        if token is None:
            raise UserError(
                "There is no token of the Hugging Face hub on this machine. Run `hf auth login` "
                "with a token that may write (or set HF_TOKEN), then push again."
            )
        return HfApi(endpoint=constants.ENDPOINT, token=token)

    def _exists(self) -> UserError:
        return UserError(
            f"The {self.kind} {self.address} exists already. Choose another name, or give "
            "--overwrite to replace its files."
        )

    def _explain(self, error: BaseException) -> str:
        response = error.response if isinstance(error, HfHubHTTPError) else None
        status = response.status_code if response is not None else None
        said = _said(response)
        if status == 401:
            return (
                "The hub does not accept the token on this machine (it answers 401). Make a new "
                "one that may write, and run `hf auth login`."
            )
        if status == 403:
            return (
                f"The token on this machine may not write {self.name} (the hub answers 403{said}). "
                "Its owner must be you or an organisation of yours, and the token one that may "
                "write: run `hf auth login` with such a token."
            )
        if status is not None:
            again = " Try again later." if status >= 500 or status == 429 else ""
            return f"The hub refused {self.name}: it answers {status}{said}.{again}"
        if isinstance(error, ValueError):
            return f"The hub refused {self.name}: {_first(error)}."
        detail = f"{type(error).__name__}: {_first(error)}"
        return (
            f"The hub at {constants.ENDPOINT} could not be reached, or broke off ({detail}). Is "
            "this machine online? Nothing is lost: push again."
        )


def listed(folder: Path) -> dict[str, int]:
    """Every file of a folder by its path in it, and its size in bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _said(response: Any) -> str:
    """What the hub gave as its reason."""
    if response is None:
        return ""
    text = response.headers.get("X-Error-Message") or ""
    if not text:
        try:
            body: Any = response.json()
            text = str(body.get("error") or "") if isinstance(body, Mapping) else ""
        except ValueError:
            text = ""
    return f": {' '.join(text.split())[:200]}" if text else ""


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
