"""``python -m dait export``: a finished study made small enough to ship."""

from __future__ import annotations

import argparse
from contextlib import closing

from dait.runs.folder import StudyFolder
from dait.runs.sinks import TerminalSink
from dait.storage.paths import absolute, study_folder
from dait.study.export import export_study


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``export`` and its options."""
    parser.description = (
        "Copy a finished study without its training-time parts, the networks of one "
        "seed as fp16 safetensors. Put it in assets/runs/ to have the app show it."
    )
    parser.add_argument(
        "study", type=study_folder, metavar="STUDY", help="the folder of a finished study"
    )
    parser.add_argument("--out", type=absolute, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--seed", type=int, metavar="N", help="keep this seed's networks")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say how large the result is."""
    with closing(TerminalSink()) as terminal:
        study = export_study(StudyFolder(args.study), args.out, args.seed, terminal)
    size = sum(file.stat().st_size for file in study.path.rglob("*") if file.is_file())
    print(f"{study.path}: {size / 2**20:.1f} MiB")
    return 0
