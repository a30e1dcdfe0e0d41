"""The demo teacher's image tower, taught to see parts before it is taught to read.

Starting a CLIP model from an image tower that has been trained with labels is common practice (Zhai
et al. 2022, "LiT", locks one; OpenCLIP can load ImageNet towers). Here the labels are what the
drawing knows: every attribute of an invented bird, its pose aside, and its habitat. The heads are
thrown away afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from dait.data.augmentation.views import view_batch
from dait.data.fieldguide.world import load_world
from dait.distributed import device
from dait.events import Emit
from dait.tasks.base import Batch, Task, TaskOutput
from dait.training.checkpoint import StepCheckpoints
from pretraining.loop import train_steps
from pretraining.recipe import PretrainRecipe

TOWER_STREAM = 12
"""Part of the random seed of the order in which birds are visited."""


class Heads(nn.Module):
    """A linear classifier for each attribute and one for the habitat, over ``(B, width)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        world = load_world()
        sizes = [len(attribute.values) for attribute in world.attributes.values()]
        self.names = (*world.attributes, "habitat")
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in (*sizes, len(world.habitats)))

    def forward(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy, and ``(names,)`` shares of right answers; labels ``(B, names)``."""
        logits = [head(features) for head in self.heads]
        losses = [F.cross_entropy(out, labels[:, k]) for k, out in enumerate(logits)]
        right = [(out.argmax(1) == labels[:, k]).float().mean() for k, out in enumerate(logits)]
        return torch.stack(losses).mean(), torch.stack(right).detach()


class TowerTask(Task):
    """The mean cross-entropy over attributes; its parts are the shares of right answers.

    trunk: images → ``(B, width)``. A batch's labels are ``(B, names)``.
    """

    stage = "image tower"
    adam_betas = (0.9, 0.98)

    def __init__(self, trunk: Any, recipe: PretrainRecipe) -> None:
        super().__init__(trunk, recipe.views)
        self.recipe = recipe
        self.heads = Heads(int(trunk.num_features))
        self.projections["heads"] = self.heads

    def forward(self, batch: Batch) -> TaskOutput:
        recipe = self.recipe
        pixels = normalised(batch.images, recipe)
        with attention_and_precision(pixels.device, recipe):
            features = self.network(pixels)
            loss, right = self.heads(features.float(), batch.labels)
        return TaskOutput(loss, features, dict(zip(self.heads.names, right, strict=True)))


def normalised(images: Tensor, recipe: PretrainRecipe) -> Tensor:
    """``(B, 3, S, S)`` in [0, 1] as the teacher takes them."""
    mean, std = (
        torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std)
    )
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


@contextmanager
def attention_and_precision(device: torch.device, recipe: PretrainRecipe) -> Iterator[None]:
    """The block runs in the recipe's precision, on a CPU with the faster attention."""
    with ExitStack() as stack:
        if device.type == "cpu":
            # Its fused attention kernel has a backward pass several times slower than plain.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16))
        yield


def train_tower(
    trunk: nn.Module, recipe: PretrainRecipe, pool: dict[str, np.ndarray], out: Path, emit: Emit
) -> dict[str, float]:
    """Train ``trunk`` (images → ``(B, width)``) for ``recipe.tower_steps``.

    Returns the share of right answers by attribute, a mean over the training batches since the last
    checkpoint. An interrupted training is resumed from the checkpoint in ``out``. Raises
    ``UserError`` where that belongs to another recipe, and where the loss is not finite.
    """
    torch.manual_seed(recipe.seed)
    task = TowerTask(trunk, recipe)
    labels = torch.from_numpy(np.concatenate([pool["tables"], pool["habitats"][:, None]], 1)).long()
    per_epoch = recipe.pool // recipe.batch_size

    def batch(step: int) -> Batch:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([recipe.seed, TOWER_STREAM, epoch]).permutation(recipe.pool)
        chosen = order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
        # Views of their own: the contrastive training that follows shows every bird in new views.
        views = view_batch(
            pool["images"][chosen], chosen, 10_000 + epoch, recipe.policy, device=device()
        )
        return Batch(views, labels[torch.from_numpy(chosen)].to(views.device))

    loop = train_steps(
        task,
        batch,
        recipe.train,
        recipe.tower_steps,
        recipe.warmup_steps,
        emit,
        checkpoints=StepCheckpoints(out / "tower-state.pt", math.inf, recipe.evaluate_every),
        fingerprint={"recipe": asdict(recipe)},
    )
    means = loop.means()
    return {name: round(means[name], 3) for name in task.heads.names}
