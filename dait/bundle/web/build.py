"""The page of an exported student, in one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import gzip
import json
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from dait.bundle.web.runtime import LICENCE, VERSION, Runtime

PAGE = "index.html"


def web_page(
    model: bytes,
    labels: list[str],
    preprocess: dict[str, Any],
    unlike: dict[str, Any] | None,
    runtime: Runtime,
    *,
    title: str,
    top1: float | None = None,
    images: int = 0,
) -> str:
    """The HTML of a page that runs ``model`` (ONNX, as ``dait.bundle.graph`` writes it).

    labels, preprocess, unlike: what the graph's metadata says. top1: a fraction of ``images``.
    """
    environment = Environment(
        loader=PackageLoader("dait.bundle.web", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    source = package_files("dait.bundle.web")
    return environment.get_template("page.html").render(
        title=title,
        labels=labels,
        top1=top1,
        images=images,
        page={"labels": labels, "preprocess": preprocess, "unlike": unlike},
        css=Markup((source / "page.css").read_text(encoding="utf-8")),
        js=Markup((source / "page.js").read_text(encoding="utf-8")),
        runtime=Markup(_packed(runtime.script)),
        wasm=Markup(_packed(runtime.wasm)),
        model=Markup(_packed(model)),
        runtime_version=VERSION,
        runtime_licence=LICENCE,
    )


def page_of_bundle(bundle: Path, runtime: Runtime, title: str) -> str:
    """``web_page`` of a folder that was exported with ONNX."""

    def read(name: str) -> Any:
        return json.loads((bundle / name).read_text(encoding="utf-8"))

    deployment = read("deployment.json")
    return web_page(
        (bundle / "model.onnx").read_bytes(),
        read("labels.json"),
        read("preprocess.json"),
        deployment.get("unlike"),
        runtime,
        title=title,
        top1=deployment["top1"].get("onnx"),
        images=deployment["images"],
    )


def _packed(data: bytes) -> str:
    """Gzipped, as base64: less than a third of the runtime's bytes remain."""
    return base64.b64encode(gzip.compress(data, compresslevel=9, mtime=0)).decode()
