"""Trains ``fieldguide-clip`` contrastively on invented families; no species ever appears."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from torch import Tensor

from dait.data.augmentation.views import view_batch
from dait.data.fieldguide import open_fieldguide
from dait.data.fieldguide.captions import IN_LIGHT, OPENINGS, caption, web_caption
from dait.data.fieldguide.light import LIGHTS
from dait.data.fieldguide.plan import POSES
from dait.data.fieldguide.world import load_world
from dait.distributed import device
from dait.events import Emit, Note
from dait.tasks.base import Batch, Task, TaskOutput
from dait.teachers.base import text_prototypes
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer, rows_in_use
from dait.teachers.openclip.demo import register_architecture, write_model
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.training.checkpoint import StepCheckpoints
from dait.training.state import LoopState
from pretraining.loop import train_steps
from pretraining.recipe import PretrainRecipe
from pretraining.tower import attention_and_precision, normalised, train_tower

NAME = "fieldguide-clip"
ORDER_STREAM, WORDS_STREAM = 10, 11
"""Parts of random seeds; the birds themselves are drawn from ``POOL_STREAM``."""


def vocabulary_rows(web: bool = False) -> list[int]:
    """Every token that a caption of the Field Guide can hold; ``web``: a web caption too."""
    world = load_world()
    words = [phrase for a in world.attributes.values() for phrase in a.phrases.values()]
    words += list(world.habitats.values()) + [o.format("bird") for o in OPENINGS]
    if web:
        words += [*POSES, *IN_LIGHT.values(), *world.attributes["back"].values]
    return rows_in_use([*words, "with a, an and in the bird. birds of on red eyes one two bars"])


class Pairs:
    """Batches of (images ``(B, 3, S, S)`` in [0, 1], captions); every visit to a bird has another
    view and other words."""

    def __init__(self, recipe: PretrainRecipe, pool: dict[str, np.ndarray]) -> None:
        self.recipe, self.pool = recipe, pool
        world = load_world()
        self._values = [(name, a.values) for name, a in world.attributes.items()]
        self._habitats = tuple(world.habitats)

    def batch(self, step: int) -> tuple[Tensor, list[str]]:
        """The batch of ``step``, a function of the recipe and ``step`` alone."""
        recipe = self.recipe
        families, together = recipe.pool // recipe.family, recipe.batch_size // recipe.family
        epoch, place = divmod(step, families // together)
        order = np.random.default_rng([recipe.seed, ORDER_STREAM, epoch]).permutation(families)
        picked = order[place * together : (place + 1) * together]
        chosen = (picked[:, None] * recipe.family + np.arange(recipe.family)).ravel()
        rng = np.random.default_rng([recipe.seed, WORDS_STREAM, step])
        pixels = self.pool["images"][chosen]
        images = view_batch(pixels, chosen, epoch, recipe.policy, device=device())
        return images, [self._caption(int(k), rng) for k in chosen]

    def _caption(self, k: int, rng: np.random.Generator) -> str:
        recipe, row = self.recipe, self.pool["tables"][k]
        table = {name: values[row[i]] for i, (name, values) in enumerate(self._values)}
        # No number is drawn for a specialist: its captions stay those that it was trained on.
        if recipe.caption_detail < 1 and rng.random() >= recipe.caption_detail:
            habitat = self._habitats[self.pool["habitats"][k]]
            pose, light = POSES[self.pool["poses"][k]], LIGHTS[self.pool["lights"][k]]
            return web_caption(table, habitat, pose, light, rng)
        named = rng.random() < recipe.habitat_chance
        place = self._habitats[self.pool["habitats"][k]] if named else None
        telling = rng.random() < recipe.marks_chance
        marks = [self._values[i][0] for i in self.pool["marks"][k]] if telling else []
        least, most = recipe.least_attributes, recipe.most_attributes
        return caption(table, place, rng, least, most, marks)


class ContrastiveTask(Task):
    """CLIP's loss between images and captions; a batch's labels are tokens ``(B, length)``."""

    stage = NAME
    adam_betas = (0.9, 0.98)

    def __init__(self, model: Any, recipe: PretrainRecipe) -> None:
        super().__init__(model, recipe.views)
        self.recipe = recipe
        self._loss = ClipLoss()

    def forward(self, batch: Batch) -> TaskOutput:
        pixels = normalised(batch.images, self.recipe)
        with attention_and_precision(pixels.device, self.recipe):
            images, texts, scale = self.network(pixels, batch.labels)
        loss = self._loss(images.float(), texts.float(), scale.float())
        return TaskOutput(loss, images)


def pretrain(recipe: PretrainRecipe, out: Path, emit: Emit, keep_every: int = 0) -> None:
    """Train and write ``open_clip_config.json``, ``model.safetensors``, ``vocabulary.json`` to out.

    keep_every: write the model to ``out/step-N`` too, every so many steps; 0: only at the end.
    An interrupted training is resumed from its checkpoint, written every ``evaluate_every`` steps.
    The zero-shot figure in ``training.jsonl`` is measured on the *validation* split.
    Raises UserError when ``out`` holds the training of another recipe.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    tokenizer = CompactTokenizer(
        vocabulary_rows(recipe.caption_detail < 1),
        recipe.architecture["text_cfg"]["context_length"],
    )
    architecture = json.loads(json.dumps(recipe.architecture))
    architecture["text_cfg"]["vocab_size"] = tokenizer.vocab_size
    register_architecture("fieldguide-clip-training", architecture)
    model: Any = open_clip.create_model("fieldguide-clip-training")
    teacher = OpenClipTeacher(NAME, model, tokenizer, recipe.mean, recipe.std).to(device())
    model.to(memory_format=torch.channels_last)
    pool = recipe.birds.load(emit)
    checkpoints = StepCheckpoints(out / "training-state.pt", math.inf, recipe.evaluate_every)
    if recipe.tower_steps and not checkpoints.path.exists():
        right = train_tower(model.visual.trunk, recipe, pool, out, emit)
        _log(out, {"tower_step": recipe.tower_steps, "right": right}, emit)
    emit(Note(f"{sum(p.numel() for p in model.parameters()):,} parameters"))
    pairs = Pairs(recipe, pool)

    def batch(step: int) -> Batch:
        images, sentences = pairs.batch(step)
        return Batch(images, tokenizer(sentences).to(images.device))

    def after_step(loop: LoopState) -> None:
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if loop.step % recipe.evaluate_every == 0 or loop.step == recipe.steps:
            model.eval()
            _log(out, _evaluate(teacher, recipe, loop), emit)
            model.train()
        if keep_every and loop.step % keep_every == 0 and loop.step < recipe.steps:
            folder = out / f"step-{loop.step}"
            folder.mkdir(exist_ok=True)
            write_model(teacher, tokenizer, architecture, folder)

    train_steps(
        ContrastiveTask(model, recipe),
        batch,
        recipe.train,
        recipe.steps,
        recipe.warmup_steps,
        emit,
        after_step,
        checkpoints,
        {"recipe": asdict(recipe)},
    )
    model.eval()
    write_model(teacher, tokenizer, architecture, out)
    checkpoints.discard()
    StepCheckpoints(out / "tower-state.pt").discard()


def _evaluate(
    teacher: OpenClipTeacher, recipe: PretrainRecipe, loop: LoopState
) -> dict[str, float]:
    """A row of ``training.jsonl``: zero-shot figures (fractions) on the validation split."""
    data = open_fieldguide(size=teacher.image_size)
    split = data.split("val")
    images = torch.from_numpy(np.array(split.images)).to(device()).permute(0, 3, 1, 2).float() / 255
    logits = teacher.embed(images) @ text_prototypes(teacher, data.classes).T
    labels = torch.from_numpy(split.labels).to(device())
    return {
        "step": loop.step,
        "pairs": loop.step * recipe.batch_size,
        "loss": round(loop.means()["loss"], 4),
        "val_zero_shot_top1": (logits.argmax(1) == labels).float().mean().item(),
        "val_zero_shot_top5": logits.topk(5)
        .indices.eq(labels[:, None])
        .any(1)
        .float()
        .mean()
        .item(),
        "seconds": round(loop.seconds, 1),
    }


def _log(out: Path, row: dict[str, Any], emit: Emit) -> None:
    with (out / "training.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    emit(Note(json.dumps(row)))
