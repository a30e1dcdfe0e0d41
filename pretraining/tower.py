"""The demo teacher's image tower, taught to see parts before it is taught to read.

Starting a CLIP model from an image tower that has been trained with labels is common practice (Zhai
et al. 2022, "LiT", locks one; OpenCLIP can load ImageNet towers). Here the labels are what the
drawing knows: every attribute of an invented bird, its pose aside, and its habitat. The heads are
thrown away afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.fieldguide.world import load_world
from dait.errors import UserError
from dait.events import Emit, Progress
from pretraining.schedule import decay_groups, descend, learning_rate

if TYPE_CHECKING:
    from pretraining.teacher import PretrainRecipe

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


def train_tower(
    trunk: nn.Module, recipe: PretrainRecipe, pool: dict[str, np.ndarray], out: Path, emit: Emit
) -> dict[str, float]:
    """Train ``trunk`` (images → ``(B, width)``) for ``recipe.tower_steps``.

    Returns the share of right answers by attribute, a running mean over the last training batches.
    A checkpoint in ``out`` makes an interrupted training go on. Raises ``UserError`` where that
    belongs to another recipe, and where the loss is not finite.
    """
    torch.manual_seed(recipe.seed)
    heads = Heads(int(trunk.num_features))  # type: ignore[arg-type]
    both = nn.ModuleDict({"trunk": trunk, "heads": heads})
    optimizer = torch.optim.AdamW(decay_groups(both, recipe.weight_decay), betas=(0.9, 0.98))
    checkpoint = out / "tower-state.pt"
    first, running = 0, torch.zeros(len(heads.names))
    if checkpoint.exists():
        first, running = _resume(checkpoint, both, optimizer, recipe)
    labels = torch.from_numpy(np.concatenate([pool["tables"], pool["habitats"][:, None]], 1)).long()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    policy = ViewPolicy(recipe.views)
    per_epoch = recipe.pool // recipe.batch_size
    both.train()
    for step in range(first, recipe.tower_steps):
        if step % recipe.evaluate_every == 0 and step > first:
            _save(checkpoint, both, optimizer, recipe, step, running)
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([recipe.seed, TOWER_STREAM, epoch]).permutation(recipe.pool)
        chosen = order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
        # Views of their own: the contrastive training that follows meets every bird anew.
        views = view_batch(pool["images"][chosen], chosen, 10_000 + epoch, policy, recipe.seed)
        pixels = ((views - mean) / std).contiguous(memory_format=torch.channels_last)
        rate = learning_rate(step, recipe.tower_steps, recipe.warmup_steps, recipe.learning_rate)
        # The CPU's fused attention kernel has a backward pass several times slower than plain.
        with sdpa_kernel(SDPBackend.MATH):
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
                features = trunk(pixels)
            loss, right = heads(features.float(), labels[torch.from_numpy(chosen)])
        descend(loss, both, optimizer, rate, 1.0, step)
        running = right if step == 0 else 0.95 * running + 0.05 * right
        emit(Progress("Teaching the image tower to see parts", step + 1, recipe.tower_steps))
    _save(checkpoint, both, optimizer, recipe, recipe.tower_steps, running)
    return {name: round(share.item(), 3) for name, share in zip(heads.names, running, strict=True)}


def _save(
    path: Path, both: nn.Module, optimizer: Any, recipe: PretrainRecipe, step: int, running: Tensor
) -> None:
    state = {"model": both.state_dict(), "optimizer": optimizer.state_dict(), "running": running}
    temporary = path.with_suffix(".tmp")
    torch.save({**state, "step": step, "recipe": repr(recipe)}, temporary)
    temporary.replace(path)


def _resume(
    path: Path, both: nn.Module, optimizer: Any, recipe: PretrainRecipe
) -> tuple[int, Tensor]:
    state = torch.load(path, weights_only=True)
    if state["recipe"] != repr(recipe):
        raise UserError(
            f"{path} belongs to a training with other settings. Remove it, or use them."
        )
    both.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), state["running"]
