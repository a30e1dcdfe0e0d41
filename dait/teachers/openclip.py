"""Frozen OpenCLIP models as teachers: by name and pretrained tag, or from a local folder."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dait.errors import UserError

CHUNK = 256
"""Images encoded at once: bounds the memory, whatever the caller's batch."""


class OpenClipTeacher(nn.Module):
    """A ``FrozenTeacher`` (see ``dait.teachers.base``) over any OpenCLIP model.

    mean, std: of the model's own preprocessing; tokenizer: sentences to ``(n, context)`` ids.
    """

    reads_text = True
    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Callable[[list[str]], Tensor],
        mean: Sequence[float],
        std: Sequence[float],
        weights_hash: str = "unsaved",
    ) -> None:
        super().__init__()
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self.weights_hash = weights_hash
        self.mean, self.std = tuple(mean), tuple(std)
        size = model.visual.image_size
        self.image_size = int(size if isinstance(size, int) else size[0])
        self.register_buffer("_mean", torch.tensor(self.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std).view(1, 3, 1, 1), persistent=False)
        self.dim = self._dry_run()

    @property
    def logit_scale(self) -> float:
        return float(self.model.logit_scale.exp())

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        size = self.image_size
        if images.shape[-2:] != (size, size):
            images = nn.functional.interpolate(
                images, (size, size), mode="bilinear", antialias=True, align_corners=False
            )
        pixels = (images - self._mean) / self._std
        return nn.functional.normalize(self.model.encode_image(pixels), dim=-1)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        return torch.cat([self.embed_with_gradient(part) for part in images.split(CHUNK)])

    @torch.no_grad()
    def embed_text(self, sentences: list[str]) -> Tensor:
        tokens = self.tokenizer(sentences).to(self._mean.device)
        return nn.functional.normalize(self.model.encode_text(tokens), dim=-1)

    def heatmap_layer(self) -> nn.Module:
        visual = self.model.visual
        trunk = getattr(visual, "trunk", None)
        if trunk is not None:
            if hasattr(trunk, "blocks") and hasattr(trunk.blocks[-1], "norm1"):
                return trunk.blocks[-1].norm1
            return trunk.get_submodule(trunk.feature_info[-1]["module"])
        if hasattr(visual, "transformer"):
            return visual.transformer.resblocks[-1].ln_1
        if hasattr(visual, "layer4"):
            return visual.layer4
        raise UserError(f"Heatmaps of {self.name} are not supported: its image tower is unknown.")

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        visual = self.model.visual
        trunk = getattr(visual, "trunk", None)
        if trunk is not None:
            if not hasattr(trunk, "blocks") or not hasattr(trunk, "patch_embed"):
                return None
            rows, columns = trunk.patch_embed.grid_size
            return int(rows), int(columns), int(trunk.num_prefix_tokens)
        if hasattr(visual, "transformer"):
            rows, columns = visual.grid_size
            return int(rows), int(columns), 1
        return None

    def _dry_run(self) -> int:
        was_training = self.model.training
        self.model.eval()
        width = self.embed(torch.zeros(1, 3, self.image_size, self.image_size)).shape[1]
        self.model.train(was_training)
        return int(width)


def load_openclip(model_name: str, tag: str) -> OpenClipTeacher:
    """A model by OpenCLIP's name and pretrained tag, downloaded once into the hub's cache.

    Raises UserError for an unknown name or tag, with near matches, and when the weights are
    neither in the cache nor to be had.
    """
    import open_clip

    _check_known(model_name, tag, open_clip)
    try:
        model = open_clip.create_model(model_name, pretrained=tag)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"The weights {tag} of OpenCLIP's {model_name} could not be loaded "
            f"({type(error).__name__}: {_first_line(error)}). They are downloaded from the Hugging "
            "Face hub at first use: connect once, or copy the hub's cache from a machine that has "
            "them; or use the teacher fieldguide-clip, which comes along."
        ) from error
    return _frozen(f"openclip:{model_name}/{tag}", model, open_clip.get_tokenizer(model_name))


def load_openclip_folder(folder: Path) -> OpenClipTeacher:
    """A local folder in the hub's layout: ``open_clip_config.json`` and safetensors weights.

    Raises UserError when a file is missing or does not fit. Pickled weights are not read.
    """
    import open_clip
    from safetensors import SafetensorError

    config = folder / "open_clip_config.json"
    weights = sorted(folder.glob("*.safetensors"))
    if not config.is_file() or len(weights) != 1:
        found = ", ".join(sorted(p.name for p in folder.glob("*"))) or "nothing"
        raise UserError(
            f"{folder} is not an OpenCLIP folder: it should hold open_clip_config.json and one "
            f".safetensors file; it holds {found}."
        )
    # What OpenCLIP and torch raise for a config or weights that are damaged or do not fit.
    unusable = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
    try:
        # In two steps: in one, OpenCLIP may prefer a pickle that lies in the folder too.
        with _without_warnings():  # it warns that the model has no weights yet
            model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
        open_clip.load_checkpoint(model, str(weights[0]))
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    except (*unusable, StopIteration, SafetensorError) as error:
        raise UserError(
            f"The OpenCLIP model in {folder} cannot be loaded "
            f"({type(error).__name__}: {_first_line(error)}). Are the weights those of the config?"
        ) from error
    digest = hashlib.sha256(weights[0].read_bytes()).hexdigest()
    return _frozen(f"openclip-local:{folder}", model, tokenizer, digest)


@contextmanager
def _without_warnings() -> Iterator[None]:
    root = logging.getLogger()  # OpenCLIP's
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _frozen(name: str, model: Any, tokenizer: Any, digest: str | None = None) -> OpenClipTeacher:
    from dait.models.checkpoint import tensors_sha256

    model.float().eval().requires_grad_(False)
    preprocess = model.visual.preprocess_cfg
    digest = digest or tensors_sha256(model.state_dict())
    return OpenClipTeacher(name, model, tokenizer, preprocess["mean"], preprocess["std"], digest)


def _check_known(model_name: str, tag: str, open_clip: Any) -> None:
    known = open_clip.list_models()
    if model_name not in known:
        near = difflib.get_close_matches(model_name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"OpenCLIP has no model called {model_name!r}.{hint}")
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if tag not in tags:
        raise UserError(
            f"OpenCLIP's {model_name} has no pretrained tag {tag!r}. Known: {', '.join(tags)}."
        )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
