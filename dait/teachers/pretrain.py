"""Trains ``fieldguide-clip`` contrastively on random birds; the forty species never appear."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from dait.data.fieldguide.captions import OPENINGS, caption
from dait.data.fieldguide.scene import RENDERER_VERSION, render_scene
from dait.data.fieldguide.world import load_world, random_attributes
from dait.errors import UserError
from dait.events import Emit, Note, Progress
from dait.teachers.compact_tokenizer import CompactTokenizer, rows_in_use

NAME = "fieldguide-clip"
POOL_STREAM, ORDER_STREAM, WORDS_STREAM = 9, 10, 11
"""Parts of random seeds; the data set's splits use 0 to 2, so no image is shared."""


@dataclass(frozen=True)
class PretrainRecipe:
    """How the demo teacher is trained; ``architecture`` is OpenCLIP's own ``model_cfg``."""

    architecture: dict[str, Any]
    steps: int
    pool: int = 100_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warmup_steps: int = 200
    habitat_chance: float = 0.7
    least_attributes: int = 4
    most_attributes: int = 8
    seed: int = 0
    evaluate_every: int = 200
    bf16: bool = False
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)


def load_pretrain_recipe(path: Path) -> PretrainRecipe:
    """Read a recipe from YAML. Raises UserError when it cannot be read or has unknown keys."""
    try:
        return PretrainRecipe(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"The recipe {path} cannot be used: {error}.") from None


def vocabulary_rows() -> list[int]:
    """Every token that a caption of the Field Guide can hold."""
    world = load_world()
    words = [phrase for a in world.attributes.values() for phrase in a.phrases.values()]
    words += list(world.habitats.values()) + [o.format("bird") for o in OPENINGS]
    return rows_in_use([*words, "with a, an and in the bird. birds of on red eyes one two bars"])


def draw_pool(recipe: PretrainRecipe, emit: Emit) -> dict[str, np.ndarray]:
    """``recipe.pool`` random birds: ``images`` (n, S, S, 3), ``tables`` and ``habitats``.

    Bird k depends on ``(recipe.seed, k)`` alone. ``tables`` holds an index for each attribute.
    """
    world = load_world()
    size = recipe.architecture["vision_cfg"]["image_size"]
    images = np.empty((recipe.pool, size, size, 3), np.uint8)
    tables = np.empty((recipe.pool, len(world.attributes)), np.uint8)
    habitats = np.empty(recipe.pool, np.uint8)
    names = tuple(world.habitats)
    for k in range(recipe.pool):
        rng = np.random.default_rng([recipe.seed, POOL_STREAM, k])
        table = random_attributes(rng)
        habitats[k] = rng.integers(len(names))
        tables[k] = [a.values.index(table[name]) for name, a in world.attributes.items()]
        images[k] = render_scene(table, names[habitats[k]], size, rng).image
        emit(Progress("Drawing random birds", k + 1, recipe.pool))
    return {"images": images, "tables": tables, "habitats": habitats}


class Pairs:
    """Batches of (images ``(B, 3, S, S)`` uint8, captions); each visit to a bird has new words."""

    def __init__(self, recipe: PretrainRecipe, pool: dict[str, np.ndarray]) -> None:
        self.recipe, self.pool = recipe, pool
        world = load_world()
        self._values = [(name, a.values) for name, a in world.attributes.items()]
        self._habitats = tuple(world.habitats)

    def batch(self, step: int) -> tuple[Tensor, list[str]]:
        recipe = self.recipe
        per_epoch = recipe.pool // recipe.batch_size
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([recipe.seed, ORDER_STREAM, epoch]).permutation(recipe.pool)
        chosen = order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
        rng = np.random.default_rng([recipe.seed, WORDS_STREAM, step])
        images = torch.from_numpy(self.pool["images"][chosen]).permute(0, 3, 1, 2)
        mirrored = torch.from_numpy(rng.random(len(chosen)) < 0.5)
        images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        return images, [self._caption(int(k), rng) for k in chosen]

    def _caption(self, k: int, rng: np.random.Generator) -> str:
        row = self.pool["tables"][k]
        table = {name: values[row[i]] for i, (name, values) in enumerate(self._values)}
        named = rng.random() < self.recipe.habitat_chance
        habitat = self._habitats[self.pool["habitats"][k]] if named else None
        least, most = self.recipe.least_attributes, self.recipe.most_attributes
        return caption(table, habitat, rng, least, most)


def pretrain(recipe: PretrainRecipe, out: Path, emit: Emit) -> None:
    """Train and write ``open_clip_config.json``, ``model.safetensors``, ``vocabulary.json`` to out.

    A checkpoint every ``evaluate_every`` steps makes an interrupted training go on where it was.
    The zero-shot figure in ``training.jsonl`` is measured on the *validation* split.
    Raises UserError when ``out`` holds the training of another recipe.
    """
    import open_clip
    from open_clip.loss import ClipLoss

    from dait.teachers.demo import register_architecture, write_model
    from dait.teachers.openclip import OpenClipTeacher

    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    tokenizer = CompactTokenizer(
        vocabulary_rows(), recipe.architecture["text_cfg"]["context_length"]
    )
    architecture = json.loads(json.dumps(recipe.architecture))
    architecture["text_cfg"]["vocab_size"] = tokenizer.vocab_size
    register_architecture("fieldguide-clip-training", architecture)
    model = open_clip.create_model("fieldguide-clip-training")
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(_decay_groups(model, recipe.weight_decay), betas=(0.9, 0.98))
    checkpoint = out / "training-state.pt"
    first = _resume(checkpoint, model, optimizer, recipe) if checkpoint.exists() else 0
    emit(Note(f"{sum(p.numel() for p in model.parameters()):,} parameters, from step {first}"))
    pairs = Pairs(recipe, _pool(recipe, emit))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    loss_of = ClipLoss()
    running, started = 0.0, time.monotonic()
    for step in range(first, recipe.steps):
        images, sentences = pairs.batch(step)
        if step % recipe.evaluate_every == 0 and step > first:
            _evaluate(model, architecture, tokenizer, recipe, out, step, running, started, emit)
            _save(checkpoint, model, optimizer, recipe, step)
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(step, recipe)
        pixels = (images.float() / 255 - mean) / std
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        # The CPU's fused attention kernel has a backward pass several times slower than plain.
        with sdpa_kernel(SDPBackend.MATH):
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
                image_features, text_features, scale = model(pixels, tokenizer(sentences))
            loss = loss_of(image_features.float(), text_features.float(), scale)
        if not torch.isfinite(loss):
            raise UserError(f"The loss is {loss.item()} at step {step}; lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
        emit(Progress("Training fieldguide-clip", step + 1, recipe.steps, "steps"))
    _evaluate(model, architecture, tokenizer, recipe, out, recipe.steps, running, started, emit)
    teacher = OpenClipTeacher(NAME, model.eval(), tokenizer, recipe.mean, recipe.std)
    write_model(teacher, tokenizer, architecture, out)
    checkpoint.unlink(missing_ok=True)


def _pool(recipe: PretrainRecipe, emit: Emit) -> dict[str, np.ndarray]:
    from dait.data.store import cache_dir, load_or_build

    size = recipe.architecture["vision_cfg"]["image_size"]
    key = f"random-birds-{recipe.pool}-{size}-{recipe.seed}-{RENDERER_VERSION}"
    return load_or_build(cache_dir(), key, lambda: draw_pool(recipe, emit))


def _evaluate(
    model: Any,
    architecture: dict[str, Any],
    tokenizer: CompactTokenizer,
    recipe: PretrainRecipe,
    out: Path,
    step: int,
    loss: float,
    started: float,
    emit: Emit,
) -> None:
    from dait.data.fieldguide import open_fieldguide
    from dait.teachers.base import text_prototypes
    from dait.teachers.openclip import OpenClipTeacher

    model.eval()
    teacher = OpenClipTeacher(NAME, model, tokenizer, recipe.mean, recipe.std)
    data = open_fieldguide(size=architecture["vision_cfg"]["image_size"])
    split = data.split("val")
    images = torch.from_numpy(np.array(split.images)).permute(0, 3, 1, 2).float() / 255
    logits = teacher.embed(images) @ text_prototypes(teacher, data.classes).T
    labels = torch.from_numpy(split.labels)
    top5 = logits.topk(5).indices.eq(labels[:, None]).any(1).float().mean().item()
    row = {
        "step": step,
        "pairs": step * recipe.batch_size,
        "loss": round(loss, 4),
        "val_zero_shot_top1": (logits.argmax(1) == labels).float().mean().item(),
        "val_zero_shot_top5": top5,
        "seconds": round(time.monotonic() - started, 1),
    }
    with (out / "training.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    emit(Note(json.dumps(row)))
    model.train()


def _decay_groups(model: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def _learning_rate(step: int, recipe: PretrainRecipe) -> float:
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _save(path: Path, model: Any, optimizer: Any, recipe: PretrainRecipe, step: int) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    temporary = path.with_suffix(".tmp")
    torch.save({**state, "recipe": repr(recipe)}, temporary)
    temporary.replace(path)


def _resume(path: Path, model: Any, optimizer: Any, recipe: PretrainRecipe) -> int:
    state = torch.load(path, weights_only=True)
    if state["recipe"] != repr(recipe):
        raise UserError(
            f"{path} belongs to a training with other settings. Remove it, or use them."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
