"""``python -m dait merge``: studies of one recipe, run apart, as one."""

from __future__ import annotations

import argparse
from contextlib import closing

from dait.runs.folder import StudyFolder
from dait.runs.sinks import TerminalSink
from dait.storage.paths import absolute, study_folder
from dait.study.merge import merge_studies


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``merge`` and its options."""
    parser.description = (
        "Copy finished studies of the same recipe, data and teacher, with different "
        "seeds or arms, into one new study. The t-SNE map is made of "
        "all; what else was measured of one study's networks is left out, and said."
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
    with closing(TerminalSink()) as terminal:
        studies = [StudyFolder(folder) for folder in args.studies]
        study = merge_studies(studies, args.out, terminal)
    description = study.description()
    seeds = ", ".join(map(str, description["seeds"]))
    print(f"{study.path}: {', '.join(description['arms'])}; seeds {seeds}")
    return 0
