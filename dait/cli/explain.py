"""``python -m dait explain``: where the networks of a study, or single runs, look in an image."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from dait.api import load_study, read_image
from dait.cli.resume import add_moved_options, keep_moved_data
from dait.cli.table import print_lines, table
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.overlay import heatmap_row, overlay
from dait.evidence.heatmaps.row import Explanation, NetworkRow
from dait.runs.folder import to_json
from dait.storage.files import write_atomically
from dait.storage.paths import absolute, study_folder

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
PREDICTED, TRUE = "predicted", "true"

MAPS = (
    "also write raw maps: an array (h, w) for every network, called as in the output (vlm, "
    "intermediate, dait-s0; with its folder's name or number before it where several folders are "
    "given), never negative and not scaled; a network without a map is left out; and image, "
    "(S, S, 3), as the first network saw it"
)


class Cell(NamedTuple):
    """One network's answer: ``name`` is its name in the maps' file, ``image`` what it saw."""

    name: str
    folder: Path
    row: NetworkRow
    image: np.ndarray
    found: Explanation


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``explain`` and its options."""
    parser.description = (
        "Writes one picture with a heatmap of the image by every network: the frozen "
        "teacher, the intermediate teacher and the students of a study, or the networks of single "
        "runs. The image is cut as the test images are."
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=study_folder,
        metavar="RUN_OR_STUDY",
        help="the folder of a finished study (all its networks), or of a run",
    )
    picture = parser.add_mutually_exclusive_group(required=True)
    picture.add_argument("--image", type=absolute, metavar="FILE", help="the photograph")
    picture.add_argument(
        "--index", type=int, metavar="N", help="instead: a test image of the study, from 0"
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        help="gradcam, gradcam++, hirescam, layercam, eigencam or finercam (default: gradcam for "
        "feature maps, layercam for transformers)",
    )
    parser.add_argument(
        "--target",
        default=PREDICTED,
        metavar="CLASS",
        help="what to explain: predicted (by each network itself; the default), true (with "
        "--index), a class by its key, name or number, or a sentence, which only a teacher that "
        "reads text can look for",
    )
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="the layer to explain, as the network's library calls it, say layer3 (default: each "
        "network's last one that is a map); a wrong name is answered with the right ones",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="which seed of a study")
    parser.add_argument(
        "--out", type=absolute, default=Path("row.png"), help="the picture (default: %(default)s)"
    )
    parser.add_argument("--npz", type=absolute, metavar="FILE", help=MAPS)
    add_moved_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explain and write; raises ``UserError`` where no network has anything to show."""
    if args.out.suffix.lower() not in FORMATS:
        raise UserError(f"‘{args.out}’ is no image file. End it with {', '.join(FORMATS)}.")
    cells = _cells(args)
    if all(cell.found.note for cell in cells):
        raise UserError(cells[0].found.note)
    write_atomically(args.out, _encoded(_picture(cells, args.target != PREDICTED), args.out))
    if args.npz is not None:
        write_atomically(args.npz, _packed(cells))
    facts = [_facts(cell) for cell in cells]
    print_lines(table((fact["network"], _words(fact)) for fact in facts))
    print(f"Written: {args.out}" + (f" and {args.npz}" if args.npz is not None else ""))
    if args.json:
        asked = {"image": args.image, "index": args.index, "method": args.method}
        asked |= {"target": args.target, "layer": args.layer}
        line = {**asked, "out": args.out, "npz": args.npz, "networks": facts}
        print(to_json(line))
    return 0


def _cells(args: argparse.Namespace) -> list[Cell]:
    keep_moved_data(args, args.folders)
    cells = []
    for folder in args.folders:
        row = load_study(folder, args.seed)
        image, truth = _image(args, folder, row)
        target = _target(args.target, row, truth)
        for found in row.explain(image, args.method, target, args.layer):
            # Two studies may both hold a dait-s0: with several folders each name says which.
            several = len(args.folders) > 1 and folder.resolve().name != found.member.key
            prefix = f"{folder.resolve().name}/" if several else ""
            cells.append(Cell(prefix + found.member.key, folder, row, image, found))
    names = [cell.name for cell in cells]
    if len(set(names)) == len(names):
        return cells
    return [cell._replace(name=f"{number}/{cell.name}") for number, cell in enumerate(cells, 1)]


def _image(
    args: argparse.Namespace, folder: Path, row: NetworkRow
) -> tuple[np.ndarray, int | None]:
    """What the row looks at, and its true class where that is known."""
    if args.index is None:
        return read_image(row, args.image), None
    if not isinstance(row, Comparison):
        raise UserError(
            f"--index is a test image of a study, and {folder} is a run. Give its study, or a "
            "photograph with --image."
        )
    return row.test_image(args.index)


def _target(asked: str, row: NetworkRow, truth: int | None) -> int | str | None:
    if asked == PREDICTED:
        return None
    if asked != TRUE:
        return row.class_or_sentence(asked)
    if truth is None:
        raise UserError(
            "Which class a photograph shows is not known here: --target true goes with --index, a "
            "test image. Or name the class."
        )
    return truth


def _picture(cells: list[Cell], one_target: bool) -> Image.Image:
    first = cells[0]
    asked = f"heatmaps of {_explained(_facts(first))}" if one_target else ""
    entries = [("Image", asked, first.image)]
    for cell in cells:
        title = cell.found.member.title
        if cell.name != cell.found.member.key:
            title = f"{title} ({cell.name})"
        shown = overlay(cell.image, cell.found.heat)
        entries.append((title, _verdict(_facts(cell)), shown))
    return heatmap_row(entries)


def _facts(cell: Cell) -> dict[str, Any]:
    found, info = cell.found, cell.row.classes[cell.found.target]
    target = {"index": found.target, "key": info.key, "name": info.name}
    return {
        "network": cell.name,
        "folder": cell.folder,
        "role": found.member.role,
        "title": found.member.title,
        "top": cell.row.named(found.top),
        "target": None if found.sentence else target,
        "sentence": found.sentence,
        "similarity": found.similarity,
        "barely": found.barely,
        "map": list(found.raw.shape),
        "maximum": float(found.raw.max(initial=0.0)),
        "empty": found.empty,
        "note": found.note,
    }


def _words(fact: Mapping[str, Any]) -> str:
    """What the network says, and what its heatmap explains where that is something else."""
    if not fact["top"] or fact["note"]:
        return _verdict(fact)
    if not fact["sentence"] and fact["target"]["index"] == fact["top"][0]["index"]:
        return _verdict(fact)
    return f"{_verdict(fact)}; heatmap of {_explained(fact)}"


def _explained(fact: Mapping[str, Any]) -> str:
    return f"“{fact['sentence']}”" if fact["sentence"] else str(fact["target"]["name"])


def _verdict(fact: Mapping[str, Any]) -> str:
    if not fact["top"]:
        return str(fact["note"])
    best = fact["top"][0]
    says = f"{best['name']} {best['probability']:.0%}"
    if fact["similarity"] is not None:
        barely = ", barely matches" if fact["barely"] else ""
        says = f"similarity {fact['similarity']:.2f}{barely}"
    if fact["note"]:
        return f"{says}; {fact['note']}"
    return f"{says}; the heatmap is empty" if fact["empty"] else says


def _encoded(picture: Image.Image, path: Path) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, FORMATS[path.suffix.lower()])
    return buffer.getvalue()


def _packed(cells: list[Cell]) -> bytes:
    """``image`` as the first network saw it, and each one's raw map under its name."""
    arrays: dict[str, Any] = {cell.name: cell.found.raw for cell in cells if not cell.found.note}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, image=cells[0].image, **arrays)
    return buffer.getvalue()
