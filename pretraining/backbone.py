"""Pretrained backbones for students and intermediate teachers: attributes of invented birds.

The published protocol starts from ImageNet's weights. Here the counterpart is a network that has
learned to name every attribute of invented birds, in families that differ in few of them; none of
the forty species is among them. The habitat is not taught. The head is thrown away by whoever
starts from the file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import ViewKind
from dait.data.fieldguide.invented import InventedBirds
from dait.data.fieldguide.world import load_world
from dait.distributed import device
from dait.errors import UserError
from dait.events import Emit, Note
from dait.models.checkpoint import save_network
from dait.models.network import Network, NetworkSpec, build_network
from dait.runs.folder import to_json
from dait.storage.files import write_atomically
from dait.tasks.base import Batch, Task, TaskOutput
from pretraining.loop import train_steps

HELD_OUT = 800
"""Of the birds, the last: never trained on, measured in the end."""

ORDER_STREAM = 21
"""Part of the random seed of the order in which birds are visited."""


@dataclass(frozen=True)
class BackboneTraining:
    """How long and on what. ``birds`` includes the ``HELD_OUT`` ones.

    attributes: those that are named; empty: all. A network that has named few of them starts as
    ImageNet's weights do on a fine-grained task: it knows how birds look, and not what tells them
    apart.
    """

    birds: InventedBirds
    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    views: ViewKind = "light"
    seed: int = 0
    attributes: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The attributes, in the world's order."""
        return tuple(a for a in load_world().attributes if a in (self.attributes or (a,)))

    def __post_init__(self) -> None:
        known = load_world().attributes
        strange = [name for name in self.attributes if name not in known]
        if strange:
            raise UserError(f"No bird has a {strange[0]!r}. Attributes: {', '.join(known)}.")
        least = HELD_OUT + self.batch_size
        if self.birds.count < least:
            raise UserError(f"{self.birds.count} birds are too few; take {least} or more.")
        if self.epochs < 1:
            raise UserError(f"A training takes 1 epoch or more, not {self.epochs}.")


def pretrain_backbone(
    spec: NetworkSpec, training: BackboneTraining, out: Path, emit: Emit
) -> dict[str, float]:
    """Train the network of ``spec`` and write it to ``out``; a ``.json`` beside it tells how.

    Returns the share of right answers on held-out birds by attribute. Raises ``UserError`` where
    the loss is not finite or the file cannot be written.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"The file to write ends in .safetensors; found {out}.")
    world = load_world()
    pool = training.birds.load(emit)
    named = [world.attributes[name] for name in training.named]
    names = [f"{a.name}: {value}" for a in named for value in a.values]
    widths = [len(attribute.values) for attribute in named]
    torch.manual_seed(training.seed)
    # From random weights, whatever the recipe's network starts from.
    scratch = spec.model_copy(update={"weights": None, "pretrained": False})
    network = build_network(scratch, len(names), training.birds.size)
    network.to(memory_format=torch.channels_last)
    count = training.birds.count - HELD_OUT
    per_epoch = count // training.batch_size
    columns = [list(world.attributes).index(name) for name in training.named]
    labels = torch.from_numpy(np.array(pool["tables"])[:, columns]).long()
    policy = ViewPolicy(training.views, training.seed)

    def batch(step: int) -> Batch:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([training.seed, ORDER_STREAM, epoch]).permutation(count)
        chosen = order[place * training.batch_size : (place + 1) * training.batch_size]
        views = view_batch(pool["images"][chosen], chosen, epoch, policy, device=device())
        images = views.contiguous(memory_format=torch.channels_last)
        return Batch(images, labels[torch.from_numpy(chosen)].to(images.device))

    config = TrainConfig(
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
    )
    task = AttributeTask(network, training.views, widths)
    train_steps(task, batch, config, training.epochs * per_epoch, training.warmup_steps, emit)
    network.cpu()
    seen = _measure(network, pool["images"][count:], labels[count:], widths)
    shares = dict(zip(training.named, seen, strict=True))
    emit(Note("held-out birds: " + ", ".join(f"{k} {v:.1%}" for k, v in shares.items())))
    _write(out, network, names, training, shares)
    return shares


class AttributeTask(Task):
    """``attribute_loss`` of the network's logits; a batch's labels are ``(B, attributes)``."""

    stage = "backbone"

    def __init__(self, network: Network, views: ViewKind, widths: list[int]) -> None:
        super().__init__(network, views)
        self.widths = widths

    def forward(self, batch: Batch) -> TaskOutput:
        logits = self.network(batch.images).logits
        return TaskOutput(attribute_loss(logits, batch.labels, self.widths), logits)


def attribute_loss(logits: Tensor, labels: Tensor, widths: list[int]) -> Tensor:
    """Mean cross-entropy over attributes.

    logits: ``(B, sum(widths))``, attribute after attribute; labels: ``(B, len(widths))``.
    """
    parts = logits.split(widths, dim=1)
    return torch.stack([F.cross_entropy(p, labels[:, k]) for k, p in enumerate(parts)]).mean()


@torch.inference_mode()
def _measure(
    network: Network, images: np.ndarray, labels: Tensor, widths: list[int]
) -> list[float]:
    network.eval()
    right = torch.zeros(len(widths))
    for start in range(0, len(images), 100):
        pixels = torch.from_numpy(np.array(images[start : start + 100])).permute(0, 3, 1, 2) / 255
        parts = network(pixels).logits.split(widths, dim=1)
        wanted = labels[start : start + 100]
        right += torch.stack([(p.argmax(1) == wanted[:, k]).sum() for k, p in enumerate(parts)])
    return (right / len(images)).tolist()


def _write(
    out: Path,
    network: Network,
    names: list[str],
    training: BackboneTraining,
    shares: dict[str, float],
) -> None:
    facts: dict[str, Any] = {"training": asdict(training), "held_out": shares}
    save_network(out, network, names, arm="backbone", dtype=torch.float16)
    write_atomically(out.with_suffix(".json"), to_json(facts, indent=1) + "\n")
