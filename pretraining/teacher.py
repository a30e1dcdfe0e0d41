"""Trains ``fieldguide-clip`` contrastively on invented families; no species ever appears."""

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

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import ViewKind
from dait.data.fieldguide.captions import IN_LIGHT, OPENINGS, caption, web_caption
from dait.data.fieldguide.invented import InventedBirds
from dait.data.fieldguide.light import LIGHTS
from dait.data.fieldguide.plan import POSES
from dait.data.fieldguide.world import load_world
from dait.errors import UserError
from dait.events import Emit, Note, Progress
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer, rows_in_use
from pretraining.schedule import decay_groups, descend, learning_rate
from pretraining.tower import train_tower

NAME = "fieldguide-clip"
ORDER_STREAM, WORDS_STREAM = 10, 11
"""Parts of random seeds; the birds themselves are drawn from ``POOL_STREAM``."""


@dataclass(frozen=True)
class PretrainRecipe:
    """How the demo teacher is trained; ``architecture`` is OpenCLIP's own ``model_cfg``.

    Birds come in invented families of ``family`` members that differ in ``marks`` attributes. A
    family stays together in a batch: a contrastive loss learns only what its negatives make it
    tell apart, and birds drawn at random differ so much that a glance would do. ``marks_chance``:
    how often a caption names all the marks of its family, as a field guide's text does.
    ``caption_detail``: the share of captions that name attributes of single parts at all; the
    others are those of the web (``web_caption``): 1 makes a specialist, little a generalist.
    ``tower_steps``: of the image tower alone, before (see ``pretraining.tower``).
    """

    architecture: dict[str, Any]
    steps: int
    tower_steps: int = 0
    pool: int = 32_000
    family: int = 8
    marks: int = 3
    marks_chance: float = 0.8
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warmup_steps: int = 200
    habitat_chance: float = 0.5
    least_attributes: int = 3
    most_attributes: int = 8
    caption_detail: float = 1.0
    views: ViewKind = "light"
    seed: int = 0
    evaluate_every: int = 200
    bf16: bool = False
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    @property
    def birds(self) -> InventedBirds:
        """What the training shows."""
        size = self.architecture["vision_cfg"]["image_size"]
        return InventedBirds(self.pool, self.family, self.marks, size, self.seed)

    def __post_init__(self) -> None:
        if self.batch_size % self.family or self.pool % self.family:
            raise UserError(
                f"A batch of {self.batch_size} and a pool of {self.pool} birds cannot be cut into "
                f"families of {self.family}; change `family`, `batch_size` or `pool`."
            )
        if self.pool < self.batch_size:
            raise UserError(f"A pool of {self.pool} birds gives no batch of {self.batch_size}.")
        if not 0 <= self.caption_detail <= 1:
            raise UserError(f"caption_detail is a share, 0 to 1, not {self.caption_detail}.")


def load_pretrain_recipe(path: Path) -> PretrainRecipe:
    """Read a recipe from YAML. Raises UserError when it cannot be read or has unknown keys."""
    try:
        return PretrainRecipe(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"The recipe {path} cannot be used: {error}.") from None


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
        self._policy = ViewPolicy(recipe.views)

    def batch(self, step: int) -> tuple[Tensor, list[str]]:
        """The batch of ``step``, a function of the recipe and ``step`` alone."""
        recipe = self.recipe
        families, together = recipe.pool // recipe.family, recipe.batch_size // recipe.family
        epoch, place = divmod(step, families // together)
        order = np.random.default_rng([recipe.seed, ORDER_STREAM, epoch]).permutation(families)
        picked = order[place * together : (place + 1) * together]
        chosen = (picked[:, None] * recipe.family + np.arange(recipe.family)).ravel()
        rng = np.random.default_rng([recipe.seed, WORDS_STREAM, step])
        images = view_batch(self.pool["images"][chosen], chosen, epoch, self._policy, recipe.seed)
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


def pretrain(recipe: PretrainRecipe, out: Path, emit: Emit) -> None:
    """Train and write ``open_clip_config.json``, ``model.safetensors``, ``vocabulary.json`` to out.

    A checkpoint every ``evaluate_every`` steps makes an interrupted training go on where it was.
    The zero-shot figure in ``training.jsonl`` is measured on the *validation* split.
    Raises UserError when ``out`` holds the training of another recipe.
    """
    import open_clip
    from open_clip.loss import ClipLoss

    from dait.teachers.openclip.demo import register_architecture, write_model
    from dait.teachers.openclip.teacher import OpenClipTeacher

    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    tokenizer = CompactTokenizer(
        vocabulary_rows(recipe.caption_detail < 1),
        recipe.architecture["text_cfg"]["context_length"],
    )
    architecture = json.loads(json.dumps(recipe.architecture))
    architecture["text_cfg"]["vocab_size"] = tokenizer.vocab_size
    register_architecture("fieldguide-clip-training", architecture)
    model = open_clip.create_model("fieldguide-clip-training")
    model.to(memory_format=torch.channels_last)
    pool = recipe.birds.load(emit)
    checkpoint = out / "training-state.pt"
    if recipe.tower_steps and not checkpoint.exists():
        seen = train_tower(model.visual.trunk, recipe, pool, out, emit)
        _log(out, {"tower_step": recipe.tower_steps, "right": seen}, emit)
    optimizer = torch.optim.AdamW(decay_groups(model, recipe.weight_decay), betas=(0.9, 0.98))
    first = _resume(checkpoint, model, optimizer, recipe) if checkpoint.exists() else 0
    emit(Note(f"{sum(p.numel() for p in model.parameters()):,} parameters, from step {first}"))
    pairs = Pairs(recipe, pool)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    loss_of = ClipLoss()
    running, started = 0.0, time.monotonic()
    for step in range(first, recipe.steps):
        images, sentences = pairs.batch(step)
        if step % recipe.evaluate_every == 0 and step > first:
            _evaluate(model, architecture, tokenizer, recipe, out, step, running, started, emit)
            _save(checkpoint, model, optimizer, recipe, step)
        rate = learning_rate(step, recipe.steps, recipe.warmup_steps, recipe.learning_rate)
        pixels = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        loss = _contrast(model, pixels, tokenizer(sentences), loss_of, recipe.bf16)
        descend(loss, model, optimizer, rate, 1.0, step)
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
        emit(Progress("Training fieldguide-clip", step + 1, recipe.steps, "steps"))
    _evaluate(model, architecture, tokenizer, recipe, out, recipe.steps, running, started, emit)
    teacher = OpenClipTeacher(NAME, model.eval(), tokenizer, recipe.mean, recipe.std)
    write_model(teacher, tokenizer, architecture, out)
    checkpoint.unlink(missing_ok=True)
    (out / "tower-state.pt").unlink(missing_ok=True)


def _contrast(model: Any, pixels: Tensor, tokens: Tensor, loss_of: Any, bf16: bool) -> Tensor:
    # The CPU's fused attention kernel has a backward pass several times slower than plain.
    with sdpa_kernel(SDPBackend.MATH):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            image_features, text_features, scale = model(pixels, tokens)
        loss: Tensor = loss_of(image_features.float(), text_features.float(), scale)
    return loss


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
    from dait.teachers.openclip.teacher import OpenClipTeacher

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
    _log(out, row, emit)
    model.train()


def _log(out: Path, row: dict[str, Any], emit: Emit) -> None:
    with (out / "training.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    emit(Note(json.dumps(row)))


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
