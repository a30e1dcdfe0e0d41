"""Images a second of whole epochs, JPEGs read and augmented, ours beside every peer."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.output import add_json_option, print_end, require_positive
from benchmarks.peers.pairs import Ratio, Seconds, machine
from benchmarks.peers.setting import Setting, draw_photos, lay_out_photos
from benchmarks.serving import PROJECT
from dait.errors import UserError

PEERS = {
    "plain": "plain_loop",
    "timm": "timm_loop",
    "torchdistill": "torchdistill_loop",
    "lightly-train": "lightly_loop",
}
OURS = "ours"


def train_once(module: str, setting: Setting) -> list[tuple[int, Seconds]]:
    """Images and seconds of every epoch, by a process of its own with one thread.

    Raises ``UserError`` with the last line that a training which failed has said.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "epochs.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.child", module, str(file)],
            input=json.dumps(asdict(setting)),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
            raise UserError(f"{module} failed: {said[0]}")
        epochs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [(e["images"], Seconds(e["wall"], e["processor"])) for e in epochs]


def measure_training(peers: Sequence[str], setting: Setting, rounds: int) -> dict[str, Any]:
    """``first`` and ``later`` for each: images a second, and ours over the peer's, of both times.

    The first epoch counts from an opened interpreter with its libraries imported: making the data
    set, the loader and the networks is part of it, with ours all that a study does before its
    first step. A peer that fails is left out, with what it said.
    """
    found: dict[str, list[tuple[Seconds, Seconds]]] = {}
    failed: dict[str, str] = {}
    images = 0
    for number in range(rounds):
        for name, module in {OURS: OURS, **{name: PEERS[name] for name in peers}}.items():
            if name in failed:
                continue
            try:
                epochs = train_once(module, setting)
            except UserError as error:
                failed[name] = str(error)
                print(f"{name}: {error}", flush=True)
                continue
            found.setdefault(name, []).append(_first_and_later(epochs))
            images = epochs[-1][0]
            first, later = found[name][-1]
            print(
                f"round {number + 1} {name:<14} first {first.processor:7.2f} cpu s "
                f"{first.wall:7.2f} s, later {later.processor:7.2f} cpu s {later.wall:7.2f} s",
                flush=True,
            )
    figures: dict[str, Any] = {}
    for name, pairs in found.items():
        figures[name] = {}
        for place, kind in enumerate(("first", "later")):
            own = [pair[place] for pair in found[OURS]]
            other = [pair[place] for pair in pairs]
            figures[name][kind] = {
                "images_per_processor_second": images / median(s.processor for s in other),
                "images_per_second": images / median(s.wall for s in other),
                "processor_ratio": vars(
                    Ratio.of([s.processor for s in other], [s.processor for s in own])
                ),
                "wall_ratio": vars(Ratio.of([s.wall for s in other], [s.wall for s in own])),
            }
    return {"peers": figures, "failed": failed, "setting": asdict(setting), "rounds": rounds}


def _first_and_later(epochs: list[tuple[int, Seconds]]) -> tuple[Seconds, Seconds]:
    """Until the end of the first epoch, and the mean of the others."""
    before = [seconds for images, seconds in epochs if not images]
    trained = [seconds for images, seconds in epochs if images]
    first, *later = trained
    total = sum(later[1:], later[0])
    return sum(before, first), Seconds(total.wall / len(later), total.processor / len(later))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``training`` and its options."""
    parser.description = "Train one student from the same images with every peer in turn."
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="of train/class/*.jpg (default: drawn birds)"
    )
    parser.add_argument("--images", type=int, default=512, metavar="N", help="default: 512")
    parser.add_argument("--size", type=int, default=128, metavar="N", help="default: 128")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="default: 64")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--labels-only", action="store_true", help="no teacher")
    parser.add_argument(
        "--views", type=int, default=1, metavar="K", help="ours: distinct views; 0: all new"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="that load images")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print each training as it ends, then the table. Raises ``UserError`` for too few images."""
    require_positive(args, "images", "size", "batch", "rounds")
    if args.epochs < 2:
        raise UserError("--epochs is a number from 2: there have to be later ones.")
    with tempfile.TemporaryDirectory() as folder:
        if args.data is None:
            draw_photos(args.images, args.size, Path(folder))
        else:
            lay_out_photos(args.data, args.images, Path(folder))
        setting = Setting(
            folder,
            args.size,
            batch=args.batch,
            epochs=args.epochs,
            distil=not args.labels_only,
            workers=args.workers,
            views=args.views,
        )
        figures = measure_training(args.peers, setting, args.rounds) | machine()
    for name, kinds in figures["peers"].items():
        for kind, values in kinds.items():
            print(
                f"{name:<14} {kind:<6}{values['images_per_processor_second']:>9.1f} images/cpu s"
                f"   ours × {Ratio(**values['processor_ratio'])} cpu, "
                f"{Ratio(**values['wall_ratio'])} wall"
            )
    return print_end(figures, args.json, "rely on processor seconds")
