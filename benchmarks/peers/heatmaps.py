"""A row of heatmaps, and many images, beside the ``grad-cam`` package used as its manual says."""

from __future__ import annotations

import argparse
import copy
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import GradCAM, LayerCAM
from torch import Tensor, nn

from benchmarks.explain import CLASSES, SIZE, stand_in_row
from benchmarks.output import add_json_option, print_end, require_positive
from benchmarks.peers.pairs import in_turn, machine, print_pairs
from dait.config.recipe import load_recipe
from dait.evidence.heatmaps.cam import explain
from dait.models.network import build_network

BATCH = 50


class _Logits(nn.Module):
    """The package wants a network that answers with logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(images)
        logits: Tensor = getattr(output, "logits", output)
        return logits


def plain_cam(network: nn.Module, pixels: Tensor) -> np.ndarray:
    """``(B, S, S)``: the package's map of what the network predicts, with our default method."""
    grid = network.heatmap_grid()  # type: ignore[operator]
    method = GradCAM if grid is None else LayerCAM

    def as_map(tokens: Tensor) -> Tensor:
        rows, columns, prefix = grid
        return tokens[:, prefix:].reshape(len(tokens), rows, columns, -1).permute(0, 3, 1, 2)

    reshape = None if grid is None else as_map
    layers = [network.heatmap_layer()]  # type: ignore[operator]
    with method(model=_Logits(network), target_layers=layers, reshape_transform=reshape) as cam:
        maps: np.ndarray = cam(input_tensor=pixels, targets=None)
    return maps


def measure_row(rounds: int) -> dict[str, Any]:
    """One image under a teacher of ViT-B/32's size and four ResNets, at 224 pixels."""
    row, networks = stand_in_row()
    learnable = [copy.deepcopy(network).requires_grad_(True) for network in networks]
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    def package() -> None:
        for network in learnable:
            plain_cam(network, pixels)

    found = in_turn({"ours": lambda: row.explain(image), "grad-cam": package}, rounds)
    return print_pairs(found, "ours")


def measure_many(images: int, rounds: int) -> dict[str, Any]:
    """Maps of many images by the demo's student: batches of ours, the package's, and one by one."""
    recipe = load_recipe("demo")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(recipe.student, CLASSES, recipe.data.size).eval()
        pixels = torch.rand(images, 3, recipe.data.size, recipe.data.size)
    frozen = copy.deepcopy(network).requires_grad_(False)
    found = in_turn(
        {
            "ours": lambda: [explain(frozen, part) for part in pixels.split(BATCH)],
            "grad-cam, batches": lambda: [plain_cam(network, p) for p in pixels.split(BATCH)],
            "grad-cam, one by one": lambda: [plain_cam(network, p) for p in pixels.split(1)],
        },
        rounds,
    )
    return print_pairs(found, "ours")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``heatmaps`` and its options."""
    parser.description = "Heatmaps by the product and by the grad-cam package, in turn."
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--images", type=int, default=500, metavar="N", help="default: 500")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line for each."""
    require_positive(args, "rounds", "images")
    torch.set_num_threads(1)
    print("a row of five networks, one image")
    figures = {"row": measure_row(args.rounds)}
    print(f"{args.images} images, one network")
    figures["many"] = measure_many(args.images, args.rounds)
    return print_end(figures | machine(), args.json, "rely on processor seconds")
