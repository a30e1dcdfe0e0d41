"""``python -m dait push``: a run's student to the Hugging Face hub, as a model or as a Space."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from dait.bundle.export import export_run
from dait.bundle.push import Repository, listed
from dait.bundle.space import write_space
from dait.cli.resume import add_moved_options, keep_moved_data
from dait.cli.table import print_lines, table
from dait.evaluation.records import classes_around
from dait.events import Emit
from dait.runs.data import open_data_of, recipe_of
from dait.runs.folder import RunFolder, to_json
from dait.runs.sinks import TerminalSink
from dait.storage.files import format_bytes
from dait.storage.paths import study_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``push`` and its options."""
    parser.description = (
        "Exports the student of a finished run (as `export RUN --to DIR --onnx` does) and uploads "
        "it to a new repository of the Hugging Face hub: a model with its card or, with --space, "
        "a small Gradio Space that runs it on a CPU. The repository is private unless --public is "
        "given. The token is the one of `hf auth login`, or HF_TOKEN."
    )
    parser.add_argument("folder", type=study_folder, metavar="RUN", help="a finished run's folder")
    parser.add_argument(
        "--repo", required=True, metavar="OWNER/NAME", help="the repository to make"
    )
    parser.add_argument(
        "--space", action="store_true", help="a Space in place of a model repository"
    )
    parser.add_argument("--public", action="store_true", help="everybody may see it")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the files of a repository that exists"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show every file and its size, and upload nothing"
    )
    add_moved_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export into a temporary folder, show what is in it, and upload it."""
    repository = Repository(args.repo, args.space)
    if not args.dry_run:  # before minutes of exporting
        repository.require_allowed(args.overwrite)
    keep_moved_data(args, [args.folder])
    with (
        TemporaryDirectory(prefix="dait-push-") as temporary,
        closing(TerminalSink()) as terminal,
    ):
        folder = _files(RunFolder(args.folder), Path(temporary), args, terminal)
        files = listed(folder)
        print_lines(table([(name, format_bytes(size)) for name, size in files.items()]))
        total, kind = format_bytes(sum(files.values())), repository.kind
        seen = "public" if args.public else "private"
        if args.dry_run:
            print(f"Nothing is uploaded. {len(files)} files, {total}: a {seen} {kind} at")
            print(repository.address)
        else:
            message = f"Upload {Path(args.folder).name}"
            repository.push(folder, message, args.public, args.overwrite, terminal)
            print(f"{len(files)} files, {total}, are in the {kind} {repository.address}")
    if args.json:
        line = {
            "repo": args.repo,
            "kind": kind,
            "address": repository.address,
            "uploaded": not args.dry_run,
            "files": files,
        }
        print(to_json(line))
    return 0


def _files(run: RunFolder, temporary: Path, args: argparse.Namespace, emit: Emit) -> Path:
    """The folder to upload."""
    bundle = export_run(run, temporary / "model", emit=emit)
    if not args.space:
        return bundle.folder
    data = open_data_of(run.path, recipe_of(run), emit)
    classes = classes_around(run.path) or data.classes
    title = args.repo.partition("/")[2]
    write_space(bundle.folder, temporary / "space", title, tuple(classes), data)
    return temporary / "space"
