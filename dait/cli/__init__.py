"""The command line: a table of commands, and one module each, imported when it is asked for."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType

from dait.cli.allocator import keep_freed_memory
from dait.cli.commands import COMMANDS, Command, Group
from dait.errors import Stopped, UserError, refused_by_disk
from dait.storage.paths import make_absolute
from dait.training.interruption import interrupt

STOPPED, FAILED, PIPE_CLOSED = 130, 2, 141

DESCRIPTION = (
    "Distil a vision-language model into a small classifier: directly, not at all, or through a "
    "trainable intermediate teacher (DAIT)."
)


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
        args = parse(sys.argv[1:] if arguments is None else arguments)
        code = int(args.run(args))
        sys.stdout.flush()  # here, where a closed pipe is handled
        return code
    except UserError as error:
        print(f"dait: {error}", file=sys.stderr)
        return FAILED
    except (Stopped, KeyboardInterrupt):
        print("dait: stopped on request", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader of our output has read enough, as ``| head`` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        sentence = refused_by_disk(error)
        if sentence is None:
            raise
        print(f"dait: {sentence}", file=sys.stderr)
        return FAILED


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command and its options, ``run`` among them: the function that runs it.

    Imports the module of this command alone. Exits, as ``argparse`` does, for ``--help`` (0) and
    for words that it does not know (2). Raises ``UserError`` for a command that is not installed.
    """
    name, command = _find(words)
    if command is None:
        group = COMMANDS.get(name)
        listing = _listing(name, group) if isinstance(group, Group) else _listing()
        listing.parse_args(words[len(name.split()) :])
        raise AssertionError("a listing knows no command to run")
    module = _imported(name, command.module)
    parser = argparse.ArgumentParser(prog=f"{_program()} {name}")
    getattr(module, command.options)(parser)
    return parser.parse_args(words[len(name.split()) :])


def _find(words: Sequence[str]) -> tuple[str, Command | None]:
    """The command that the words begin with, else the group, else nothing."""
    first, pair = " ".join(words[:1]), " ".join(words[:2])
    found = COMMANDS.get(pair) or COMMANDS.get(first)
    if isinstance(found, Group):
        command = found.commands.get(words[1]) if len(words) > 1 else None
        return (pair, command) if command else (first, None)
    if found is None:
        return "", None
    return (pair if pair in COMMANDS else first), found


def _listing(name: str = "", group: Group | None = None) -> argparse.ArgumentParser:
    """A parser that knows names and one line about each: for ``--help`` and for mistakes."""
    commands = COMMANDS if group is None else group.commands
    parser = argparse.ArgumentParser(
        prog=f"{_program()} {name}".rstrip(),
        description=DESCRIPTION if group is None else group.description,
    )
    listed = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for word, command in commands.items():
        listed.add_parser(word, help=command.help, add_help=False)
    return parser


def _imported(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".")[0]
        if package == "dait" or error.name not in (package, module):
            raise
        raise UserError(
            f"`{name}` needs the folder {package}/ of the project's sources, which is not "
            f"installed. Run `python -m dait {name}` in a clone of the project."
        ) from None


def _program() -> str:
    """What was typed: the console script, or the module."""
    return "dait" if Path(sys.argv[0]).name == "dait" else "python -m dait"
