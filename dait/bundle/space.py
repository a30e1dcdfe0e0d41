"""The files of a small Gradio Space around an exported student."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from dait.bundle.export import CARD, DEPLOYMENT, LABELS, ONNX, PREPROCESS, SCRIPT
from dait.data.base import ClassInfo, Dataset
from dait.storage.files import new_folder

SPACE_REQUIREMENTS = ("onnxruntime>=1.20", "numpy>=1.26", "Pillow>=10")
"""Besides Gradio, which a Space brings itself in the version that its README asks for."""
EXAMPLES = 6


def write_space(
    bundle: Path, folder: Path, title: str, classes: tuple[ClassInfo, ...], data: Dataset
) -> None:
    """The Space around a bundle that was exported with ONNX, in a new folder.

    ``app.py``, ``requirements.txt`` for a CPU, some test images of different classes, and of the
    bundle what the page needs; its card as ``MODEL_CARD.md``.
    """
    with new_folder(folder) as unfinished:
        for name in (ONNX, SCRIPT, LABELS, PREPROCESS, DEPLOYMENT):
            shutil.copyfile(bundle / name, unfinished / name)
        card = (bundle / CARD).read_text(encoding="utf-8")
        # A front matter is read in README.md alone.
        body = re.sub(r"\A---\n.*?\n---\n+", "", card, flags=re.DOTALL)
        (unfinished / "MODEL_CARD.md").write_text(body, encoding="utf-8")
        source = package_files("dait.bundle") / "space_app.py.txt"
        shutil.copyfile(str(source), unfinished / "app.py")
        (unfinished / "requirements.txt").write_text(
            "\n".join(SPACE_REQUIREMENTS) + "\n", encoding="utf-8"
        )
        written = _examples(unfinished / "examples", classes, data)
        page = _readme(title, len(classes), written, data.licence or "not known")
        (unfinished / CARD).write_text(page, encoding="utf-8")


def _readme(title: str, classes: int, examples: int, licence: str) -> str:
    front_matter = yaml.safe_dump(_front_matter(title), sort_keys=False, allow_unicode=True)
    text = (
        f"---\n{front_matter}---\n\n"
        f"A page around `model.onnx`, which names photographs among {classes} classes. It runs on "
        "a CPU.\n\nTo run it elsewhere: `pip install gradio -r requirements.txt`, then "
        "`python app.py`.\n\nThe model, its figures, its data and its limits: "
        "[MODEL_CARD.md](MODEL_CARD.md).\n"
    )
    if examples:
        text += (
            "\nThe pictures in `examples/` are test images of the data. Licence of the images: "
            f"`{' '.join(licence.split()).replace('`', '')}`.\n"
        )
    return text


def _front_matter(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "emoji": "🔎",
        "colorFrom": "indigo",
        "colorTo": "green",
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "app_file": "app.py",
        "pinned": False,
        "tags": ["image-classification", "onnx", "knowledge-distillation", "dait-studio"],
    }


def _examples(folder: Path, classes: tuple[ClassInfo, ...], data: Dataset) -> int:
    """Test images of classes that are spread over all, as JPEGs; how many."""
    test = data.split("test")
    known = np.unique(test.labels)
    chosen = known[np.linspace(0, len(known) - 1, min(EXAMPLES, len(known))).astype(int)]
    folder.mkdir()
    for label in chosen.tolist():
        at = int(np.flatnonzero(test.labels == label)[0])
        name = re.sub(r"[^a-z0-9]+", "-", classes[label].name.lower()).strip("-") or "image"
        picture = Image.fromarray(np.asarray(test.images[at]))
        picture.save(folder / f"{label:03d}-{name[:40]}.jpg", quality=95)
    return len(chosen)
