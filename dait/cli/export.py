"""``python -m dait export``: a finished study made small, or a run's student as a model to use."""

from __future__ import annotations

import argparse
from contextlib import closing

from dait.api import export_model
from dait.bundle.deployment import TITLES
from dait.bundle.export import Bundle
from dait.cli.resume import add_moved_options, keep_moved_data
from dait.cli.table import print_lines, table
from dait.errors import UserError
from dait.runs.folder import StudyFolder, to_json
from dait.runs.sinks import TerminalSink
from dait.storage.files import format_bytes
from dait.storage.paths import absolute, study_folder
from dait.study.export import export_study


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``export`` and its options."""
    parser.description = (
        "RUN --to DIR writes the student of a finished run as a model that works without this "
        "project: its weights for timm or torchvision, with --onnx also ONNX in fp32 and int8 and "
        "a script, and a model card; every file is compared on the whole test split. STUDY --out "
        "DIR copies a finished study without its training-time parts, the networks of one seed as "
        "fp16 safetensors; put it in assets/runs/ to have the app show it."
    )
    parser.add_argument(
        "folder", type=study_folder, metavar="RUN_OR_STUDY", help="the folder of a finished one"
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--to", type=absolute, metavar="DIR", help="of a run: a new folder for its student"
    )
    target.add_argument(
        "--out", type=absolute, metavar="DIR", help="of a study: a new folder for its copy"
    )
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="with --to: also model.onnx, model.int8.onnx and predict.py",
    )
    parser.add_argument(
        "--web",
        action="store_true",
        help="with --to: all of --onnx, and index.html, one file that runs it in any browser "
        "(npm gets the runtime, 33 MB, once)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="with --out: keep this seed's networks"
    )
    add_moved_options(parser)
    parser.add_argument("--json", action="store_true", help="with --to: end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say what there is now."""
    if args.to is not None:
        if args.seed is not None:
            raise UserError("--seed is of a study's copy (--out); name a run of that seed instead.")
        return _export_run(args)
    if args.onnx or args.web or args.json:
        raise UserError(
            "--onnx, --web and --json are of a run's student; give --to in place of --out."
        )
    with closing(TerminalSink()) as terminal:
        study = export_study(StudyFolder(args.folder), args.out, args.seed, terminal)
    size = sum(file.stat().st_size for file in study.path.rglob("*") if file.is_file())
    print(f"{study.path}: {size / 2**20:.1f} MiB")
    return 0


def _export_run(args: argparse.Namespace) -> int:
    keep_moved_data(args, [args.folder])
    with closing(TerminalSink()) as terminal:
        bundle = export_model(args.folder, args.to, onnx=args.onnx, web=args.web, emit=terminal)
    _print(bundle)
    if args.json:
        print(
            to_json(
                {
                    "dir": bundle.folder,
                    "files": bundle.files,
                    "agreement": bundle.agreement,
                    "top1": bundle.top1,
                }
            )
        )
    return 0


def _print(bundle: Bundle) -> None:
    figures = bundle.deployment
    print(f"{bundle.folder}: {len(bundle.files)} files, {figures['images']:,} test images")
    rows = []
    for name, title in TITLES.items():
        if name not in figures["bytes"]:
            continue
        cells = [title, format_bytes(figures["bytes"][name]), f"top-1 {bundle.top1[name]:.1%}"]
        same = bundle.agreement.get(name)
        cells.append("" if same is None else f"agrees {same:.2%}")
        latency = figures["latency_ms"].get(name)
        cells.append("" if latency is None else f"{latency['median']:.2f} ms")
        rows.append(cells)
    print_lines(table(rows, indent=2))
