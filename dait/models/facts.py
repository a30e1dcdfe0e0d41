"""What is known of a network before anything is trained: size, cost, and its last map."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dait.errors import UserError
from dait.models.cost import count_macs, count_parameters
from dait.models.network import build_network
from dait.models.spec import NetworkSpec

COARSE = 5
"""Below so many rows or columns a heatmap shows a quarter of the image at a time."""

MOST_PARAMETERS = 100_000_000
"""Networks above this are not built: they would take gigabytes."""


@dataclass(frozen=True)
class NetworkFacts:
    """``macs`` are for one image of ``image_size`` px; ``map`` is (channels, rows, columns)."""

    name: str
    image_size: int
    num_classes: int
    parameters: int
    macs: int
    map: tuple[int, int, int]
    pooled_width: int

    @property
    def coarse(self) -> bool:
        """Whether the last map has too few positions for a fine heatmap."""
        return min(self.map[1:]) < COARSE


def network_facts(spec: NetworkSpec, num_classes: int, image_size: int) -> NetworkFacts:
    """Build the network once without its weights and measure it; nothing is downloaded.

    torch's random state is left as it was. Raises ``UserError`` as ``build_network`` does, and for
    more than ``MOST_PARAMETERS``, which are counted without memory first.
    """
    bare = spec.model_copy(update={"pretrained": False, "weights": None})
    with torch.random.fork_rng(devices=[]):
        with torch.device("meta"):
            parameters = count_parameters(build_network(bare, num_classes, image_size))
        if parameters > MOST_PARAMETERS:
            raise UserError(
                f"{spec.name} has {parameters / 1e6:,.0f} M parameters; networks of at most "
                f"{MOST_PARAMETERS / 1e6:,.0f} M are measured. A student is usually a hundred "
                "times smaller: `python -m dait networks` lists some."
            )
        network = build_network(bare, num_classes, image_size)
    return NetworkFacts(
        name=spec.name,
        image_size=image_size,
        num_classes=num_classes,
        parameters=count_parameters(network),
        macs=count_macs(network),
        map=(network.map_channels, *network.map_size),
        pooled_width=network.pooled_width,
    )
