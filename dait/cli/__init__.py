"""The command line: one module a command, each with ``register`` and a function that runs it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from dait.cli.allocator import keep_freed_memory
from dait.errors import Stopped, UserError
from dait.storage.paths import make_absolute
from dait.training.interruption import interrupt

STOPPED, FAILED, PIPE_CLOSED = 130, 2, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for what the user can mend, 130 if stopped.

    141 where the reader of the output has closed it.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        interrupt()

    signal.signal(signal.SIGTERM, stop)
    keep_freed_memory()
    try:
        make_absolute()
        words = _joined(sys.argv[1:] if arguments is None else arguments)
        args = build_parser().parse_args(words)
        return int(args.run(args))
    except UserError as error:
        print(f"dait: {error}", file=sys.stderr)
        return FAILED
    except (Stopped, KeyboardInterrupt):
        print("dait: stopped on request", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # whoever reads our output has read enough, as ``| head`` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command registered."""
    from dait.cli import (
        backbone,
        bench,
        cache,
        compare,
        data,
        embed,
        estimate,
        evaluate,
        explain,
        export,
        localise,
        merge,
        networks,
        predict,
        study,
        study_tasks,
        sweep,
        teacher,
        train,
    )

    parser = argparse.ArgumentParser(
        prog="python -m dait",
        description="Distil a vision-language model into a small classifier: directly, not at all, "
        "or through a trainable intermediate teacher (DAIT).",
    )
    commands: Any = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        *(train, study, study_tasks, estimate, sweep),
        *(evaluate, compare, predict, explain, embed, localise, merge, export, data),
        *(teacher, networks, backbone, cache, bench),
    ):
        module.register(commands)
    return parser


def _joined(words: Sequence[str]) -> list[str]:
    """``study plan`` and its like are commands of two words; ``study RECIPE`` is one of one."""
    from dait.cli.study_tasks import ACTIONS

    if len(words) > 1 and words[0] == "study" and words[1] in ACTIONS:
        return [" ".join(words[:2]), *words[2:]]
    return list(words)
