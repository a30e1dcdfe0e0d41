"""A study whose every name is markup, and what a browser must not have done with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from app.studies.ticket import write_ticket
from dait.runs.folder import StudyFolder

MARK = "\"'><img src=x onerror=window.attacked=1><script>window.attacked=1</script>{{7*7}}"
"""Leaves an attribute and a tag, runs a script, and is a template's expression."""

HARM = """() => [
  window.attacked === undefined ? '' : 'a script ran',
  document.querySelector('img[src="x"]') ? 'a picture was made' : '',
  document.body.innerText.includes('"\\'>49') ? 'an expression was computed' : '',
].filter(Boolean)"""


def study_of_markup(study: Path, target: Path) -> StudyFolder:
    """A copy of a finished study with markup for every name that people give."""
    folder = StudyFolder(shutil.copytree(study, target))
    description: dict[str, Any] = json.loads((target / "study.json").read_text())
    description["name"] = f"study {MARK}"
    description["recipe"]["title"] = f"title {MARK}"
    description["recipe"]["expected"] = f"expected {MARK}"
    for number, info in enumerate(description["classes"]):
        info["name"], info["group"] = f"class {number} {MARK}", f"group {number % 2} {MARK}"
    (target / "study.json").write_text(json.dumps(description))
    folder.write_status(title=f"title {MARK}", message=f"message {MARK}")
    (target / "log.txt").write_text(f"2026-01-01 12:00:00  log {MARK}\n")
    (target / "output.txt").write_text(f"output {MARK}\n")
    write_ticket(folder, name=f"named {MARK}")
    return folder
