"""A student to the Hugging Face hub, where the app runs for its own user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from app.background import JobPool, Task
from app.config import AppConfig
from app.export.bundles import Bundles
from app.export.process import run_command
from app.policy import Policy
from app.server.loader import engine
from app.ui.job_box import JobBox
from app.ui.notice import Update, hint, notice
from app.ui.tables import table_html
from dait.errors import UserError
from dait.events import Emit
from dait.runs.folder import RunFolder
from dait.storage.files import format_bytes

MODEL, SPACE = "model", "space"
KINDS = (("Model: files and card", MODEL), ("Space: a page that runs it", SPACE))
EXPLAINED = hint(
    "Uploads the run chosen above as one commit, with the token of this machine (hf auth login, "
    "or HF_TOKEN), which this page neither asks for nor keeps. First look at every file; nothing "
    "is uploaded until you press Push."
)


@dataclass(frozen=True)
class Push:
    """What is to be uploaded, from checked values."""

    run: RunFolder
    repo: str
    space: bool
    public: bool
    overwrite: bool

    def options(self, dry_run: bool) -> list[str]:
        """The words of the command after ``push``."""
        flags = {
            "--space": self.space,
            "--public": self.public,
            "--overwrite": self.overwrite,
            "--dry-run": dry_run,
        }
        chosen = [flag for flag, wanted in flags.items() if wanted]
        return [str(self.run.path), "--repo", self.repo, *chosen, "--json"]


@dataclass(frozen=True)
class Pushed:
    """What the command answered, and why it would be refused (empty if it would not)."""

    push: Push
    answer: Mapping[str, Any]
    refused: str = ""


class Pushes:
    """Uploads in the background, one at a time."""

    def __init__(self, config: AppConfig, bundles: Bundles) -> None:
        self._policy, self._bundles = Policy(config), bundles
        self.jobs: JobPool[Pushed] = JobPool(at_once=1)

    def task(self, dry_run: bool, *values: object) -> tuple[str, Task[Pushed]]:
        """What uploads, and its key. values: study, run, repository, kind, public, overwrite.

        Raises ``UserError`` for other visitors, a run that cannot be exported, and a name that is
        no repository's.
        """
        self._policy.require_own("Nothing is pushed to the hub")
        study_id, name, repo, kind, public, overwrite = values
        run = self._bundles.run(study_id, name)
        typed = repo.strip() if isinstance(repo, str) else ""
        push = Push(run, typed, kind == SPACE, public is True, overwrite is True)
        engine().check_repository(push.repo, push.space)
        return json.dumps(push.options(dry_run)), partial(_push, push, dry_run)


def build_push_box(
    pushes: Pushes, study: gr.Dropdown | gr.State, run: gr.Dropdown, name: str
) -> None:
    """Lay it out in a fold of its own and wire it. run: the chosen run; name: of the element."""
    with gr.Accordion("Push it to the Hugging Face hub", open=False, elem_id=name):
        gr.HTML(EXPLAINED, apply_default_css=False)
        with gr.Row():
            repo = gr.Textbox(
                label="Repository",
                placeholder="owner/name",
                max_lines=1,
                min_width=200,
                elem_id=f"{name}-repo",
            )
            kind = gr.Dropdown(list(KINDS), value=MODEL, label="As", min_width=200)
        with gr.Row():
            public = gr.Checkbox(False, label="Public (private otherwise)", min_width=200)
            overwrite = gr.Checkbox(
                False,
                label="Replace the files of a repository that exists",
                min_width=200,
                elem_id=f"{name}-overwrite",
            )
        listing: JobBox[Pushed] = JobBox("List every file", f"{name}-list")
        pushing: JobBox[Pushed] = JobBox("Push", f"{name}-push", variant="primary", visible=False)
    inputs = [study, run, repo, kind, public, overwrite]

    def listed(found: Pushed) -> Update:
        shown = listing_html(found)
        return {listing.result: shown, pushing.press: gr.update(visible=not found.refused)}

    def pushed(found: Pushed) -> Update:
        return {pushing.result: pushed_html(found)}

    hidden = {pushing.press: gr.update(visible=False)}
    listing.wire(
        pushes.jobs, partial(pushes.task, True), listed, inputs, about=inputs, cleared=hidden
    )
    pushing.wire(pushes.jobs, partial(pushes.task, False), pushed, inputs, about=inputs)


def listing_html(found: Pushed) -> str:
    """Every file that would be uploaded, where to, and what stands in the way."""
    files: Mapping[str, int] = found.answer["files"]
    seen = "public" if found.push.public else "private"
    caption = (
        f"Nothing is uploaded yet. {len(files)} files, {format_bytes(sum(files.values()))}: a "
        f"{seen} {found.answer['kind']} at {found.answer['address']}"
    )
    body = [(name, [(format_bytes(size), "")]) for name, size in files.items()]
    refused = notice(found.refused) if found.refused else ""
    return refused + table_html(caption, "File", ("Size",), body)


def pushed_html(found: Pushed) -> str:
    """Where the files are now."""
    files = found.answer["files"]
    total = format_bytes(sum(files.values()))
    return notice(
        f"{len(files)} files, {total}, are in the {found.answer['kind']} {found.answer['address']}",
        calm=True,
    )


def _push(push: Push, dry_run: bool, emit: Emit) -> Pushed:
    output = run_command(["push", *push.options(dry_run)], emit)
    answer = json.loads(output.splitlines()[-1])
    if not dry_run:
        return Pushed(push, answer)
    try:
        engine().check_repository(push.repo, push.space, asking=True, overwrite=push.overwrite)
    except UserError as error:
        # The page has a tick for the option that the sentence names.
        said = str(error).replace("give --overwrite", "tick “Replace the files”")
        return Pushed(push, answer, said)
    return Pushed(push, answer)
