"""``python -m benchmarks.peers COMMAND``: each module below is a command."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from dait.errors import UserError

COMMANDS = {
    "training": "images a second of whole epochs, beside other training tools",
    "pipeline": "the intermediate teacher's outputs, kept and computed anew",
    "growth": "time against images, classes, image size, studies and points",
    "heatmaps": "a row, and many images, beside the grad-cam package",
    "analysis": "t-SNE, similarity and evaluation, beside scikit-learn and openTSNE",
}


def main(words: list[str] | None = None) -> int:
    """Run a command; 2 for what its user can mend."""
    words = sys.argv[1:] if words is None else words
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    listed = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, about in COMMANDS.items():
        command = listed.add_parser(name, help=about)
        if words[:1] == [name]:  # its libraries are imported where it is asked for
            import_module(f"benchmarks.peers.{name}").add_options(command)
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except UserError as error:
        print(f"benchmarks.peers: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
