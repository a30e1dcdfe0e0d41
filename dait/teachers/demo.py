"""``fieldguide-clip``: the small OpenCLIP model that comes with the project."""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.teachers.compact_tokenizer import CompactTokenizer

DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "fieldguide-clip"
REGISTERED_NAME = "fieldguide-clip"


class FieldGuideClip(nn.Module):
    """A ``FrozenTeacher`` (see ``dait.teachers.base``) over an OpenCLIP ViT and its text tower."""

    name = REGISTERED_NAME
    reads_text = True

    def __init__(
        self,
        model: Any,
        tokenizer: CompactTokenizer,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        weights_hash: str = "unsaved",
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.weights_hash = weights_hash
        self.mean, self.std = tuple(mean), tuple(std)
        self.image_size = int(model.visual.image_size[0])
        self.dim = int(model.text_projection.shape[-1])
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

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
        return torch.cat([self.embed_with_gradient(part) for part in images.split(256)])

    @torch.no_grad()
    def embed_text(self, sentences: list[str]) -> Tensor:
        return nn.functional.normalize(self.model.encode_text(self.tokenizer(sentences)), dim=-1)

    def heatmap_layer(self) -> nn.Module:
        return self.model.visual.trunk.blocks[-1].norm1

    def heatmap_grid(self) -> tuple[int, int, int]:
        rows, columns = self.model.visual.trunk.patch_embed.grid_size
        return int(rows), int(columns), 0


def register_architecture(name: str, architecture: dict[str, Any]) -> None:
    """Make an OpenCLIP ``model_cfg`` known to OpenCLIP as ``name``, and its image tower to timm."""
    import open_clip

    import dait.teachers.hybrid_vit  # noqa: F401  (registers the tower)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps(architecture))
        open_clip.add_model_config(path)


def write_model(teacher: FieldGuideClip, architecture: dict[str, Any], folder: Path) -> None:
    """Write OpenCLIP's config, fp16 weights and the kept vocabulary to ``folder``."""
    from safetensors.torch import save_file

    config = {
        "model_cfg": architecture,
        "preprocess_cfg": {"mean": list(teacher.mean), "std": list(teacher.std)},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "vocabulary.json").write_text(json.dumps({"rows": list(teacher.tokenizer.rows)}))
    tensors = {k: v.half().contiguous() for k, v in teacher.model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")


@cache
def load_demo_teacher(folder: Path = DEMO_FOLDER) -> FieldGuideClip:
    """The shipped teacher, fp32, in eval mode, without gradients. Raises UserError if missing."""
    import open_clip

    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(
            f"The demo teacher's weights are missing: {weights} does not exist. Restore the "
            "`assets` folder, or train the teacher again with `python -m dait teacher pretrain`."
        )
    config = json.loads((folder / "open_clip_config.json").read_text())
    rows = json.loads((folder / "vocabulary.json").read_text())["rows"]
    architecture = config["model_cfg"]
    tokenizer = CompactTokenizer(rows, architecture["text_cfg"]["context_length"])
    register_architecture(REGISTERED_NAME, architecture)
    model = open_clip.create_model(REGISTERED_NAME, pretrained=str(weights))
    model.float().eval().requires_grad_(False)
    preprocess = config["preprocess_cfg"]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return FieldGuideClip(model, tokenizer, preprocess["mean"], preprocess["std"], digest)
