"""Files that a visitor asks for: written to a folder of their own, and deleted after a while."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

KEPT_SECONDS = 3600.0
"""Longer than the longest export takes."""
_FOLDERS = "dait-download-"


def file_to_download(name: str, content: bytes) -> Path:
    """A new file of this name, for a ``gr.DownloadButton``.

    Gradio serves a copy of the file, and leaves the original to us.
    """
    path = download_folder() / re.sub(r"[^\w.-]+", "-", name)
    path.write_bytes(content)
    return path


def download_folder() -> Path:
    """A new folder for files to download; old ones of any visitor are removed."""
    _remove_old()
    return Path(tempfile.mkdtemp(prefix=_FOLDERS))


def hidden_download(elem_id: str) -> gr.DownloadButton:
    """What the page presses when its file is there (``press``), so it is part of the page."""
    return gr.DownloadButton("File", visible="hidden", elem_id=elem_id)


def press(event: Any, elem_id: str) -> None:
    """After ``event`` has succeeded, download the file of ``hidden_download``."""
    event.success(
        None, js=f"() => document.querySelector('#{elem_id}')?.click()", api_visibility="private"
    )


def _remove_old() -> None:
    before = time.time() - KEPT_SECONDS
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*"):
        with suppress(OSError):  # removed by another request, or another user's folder
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder)
