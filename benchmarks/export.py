"""Which networks ONNX can hold: every curated student, with random weights, against PyTorch."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.output import add_json_option, print_end
from dait.bundle.graph import HEAD, export_onnx, logits_of, open_graph
from dait.cli.table import print_lines, table
from dait.errors import UserError
from dait.models.catalogue import CURATED
from dait.models.cost import count_parameters, one_thread, time_calls
from dait.models.network import Network, build_network
from dait.models.spec import NetworkSpec

CLASSES, SIZE, IMAGES = 40, 128, 16
"""Of the networks; images that are compared, of uniform noise."""


def export_networks(names: Iterable[str], size: int = SIZE) -> list[dict[str, Any]]:
    """A row for each network, printed as soon as it is known.

    ``difference``: the largest of a logit, as a fraction of the largest logit; ``same``: the share
    of images with the same answer; ``head``: whether class activation maps are exact; ``torch_ms``
    and ``onnx_ms``: the median of one image on one thread; ``problem``: why it does not export.
    """
    rows = []
    for name in names:
        try:
            network = _network(name, size)
            row = _compared(network)
        except UserError as error:
            row = {"network": name, "problem": str(error)}
        rows.append(row)
        print_lines(table([_cells(row)], indent=2))
    return rows


def _network(name: str, size: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_network(NetworkSpec(name=name), CLASSES, size).eval()


@torch.no_grad()
def _compared(network: Network) -> dict[str, Any]:
    size = network.image_size
    images = torch.rand(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(2))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(network, file, {})
        session, size_bytes = open_graph(file), file.stat().st_size
    expected, found = network(images).logits.numpy(), logits_of(session, images.numpy())
    one = images[:1]
    with one_thread():
        ours = time_calls(lambda: network(one), 30)
        theirs = time_calls(lambda: logits_of(session, one.numpy()), 30)
    return {
        "network": network.spec.name,
        "size": size,
        "parameters": count_parameters(network),
        "bytes": size_bytes,
        "difference": float(np.abs(expected - found).max() / np.abs(expected).max()),
        "same": float((expected.argmax(1) == found.argmax(1)).mean()),
        "head": HEAD in [output.name for output in session.get_outputs()],
        "torch_ms": 1000 * statistics.median(ours),
        "onnx_ms": 1000 * statistics.median(theirs),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    if "problem" in row:
        return [row["network"], row["problem"]]
    return [
        f"{row['network']:32}",
        f"{row['bytes'] / 1e6:.1f} MB",
        f"differs by {row['difference']:.0e}",
        f"same answer {row['same']:.0%}",
        "maps" if row["head"] else "no maps",
        f"{row['torch_ms']:.1f} → {row['onnx_ms']:.1f} ms",
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench export`` and its options."""
    parser.description = (
        "Writes networks with random weights as ONNX and compares onnxruntime with PyTorch on "
        f"{IMAGES} images of noise. Some ten minutes for all curated ones on one core."
    )
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK",
        help="names as a recipe has them (default: every curated network)",
    )
    parser.add_argument(
        "--size", type=int, default=SIZE, metavar="PX", help="of images (default: %(default)s)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, print, and end with the rows."""
    rows = export_networks(args.networks or [entry.name for entry in CURATED], args.size)
    problems = [row["network"] for row in rows if "problem" in row]
    print(f"{len(rows) - len(problems)} of {len(rows)} networks export.")
    return print_end({"networks": rows, "not_exported": problems}, args.json)
