"""``python -m dait merge``: studies of one recipe, run apart, as one."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from dait.storage.paths import absolute, study_folder


def register(commands: Any) -> None:
    """Add ``merge`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "merge",
        help="put studies of the same recipe together, say one seed from each machine",
        description="Copy finished studies of the same recipe, data and teacher, with different "
        "seeds or arms, into one new study. The t-SNE map is made of "
        "all; what else was measured of one study's networks is left out, and said.",
    )
    parser.add_argument(
        "studies",
        nargs="+",
        type=study_folder,
        metavar="STUDY",
        help="folders of finished studies",
    )
    parser.add_argument("--out", type=absolute, required=True, metavar="DIR", help="a new folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Merge, and say what the result holds."""
    from dait.runs.folder import StudyFolder
    from dait.runs.sinks import TerminalSink
    from dait.study.merge import merge_studies

    with closing(TerminalSink()) as terminal:
        studies = [StudyFolder(folder) for folder in args.studies]
        study = merge_studies(studies, args.out, terminal)
    description = study.description()
    seeds = ", ".join(map(str, description["seeds"]))
    print(f"{study.path}: {', '.join(description['arms'])}; seeds {seeds}")
    return 0
