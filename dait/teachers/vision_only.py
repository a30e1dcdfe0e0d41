"""Any frozen image classifier as a teacher: class prototypes come from images, not from words."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import timm
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from dait.errors import UserError
from dait.events import Emit, ignore
from dait.models.checkpoint import tensors_sha256
from dait.models.network import Network, NetworkSpec, build_network
from dait.models.packages import PACKAGED_TEACHERS
from dait.teachers.openclip.teacher import resized
from dait.teachers.weights import fetch_weights

TIMM_PREFIX = "timm:"

LOGIT_SCALES: tuple[float, ...] = tuple(2 ** (k / 2) for k in range(19))
"""The grid of κ: 1 to 512 by factors of √2."""


class VisionOnlyTeacher(nn.Module):
    """A ``FrozenTeacher`` (see ``dait.teachers.base``) over a network that reads no text.

    Embeddings are the network's pooled vectors before its linear head, scaled to unit length.
    Its prototypes are ``class_mean_prototypes`` of training embeddings and its ``logit_scale`` is
    whatever ``calibrated_logit_scale`` found; until that is set it is 1. The network's weights are
    frozen and it stays in eval mode. ``weights_hash`` covers everything but the linear head, which
    embeddings do not pass. ``interpolation`` is how images were resized for it.
    """

    reads_text = False

    def __init__(self, name: str, network: Network, interpolation: str = "bilinear") -> None:
        super().__init__()
        self.name = name
        self.interpolation = interpolation
        self.network = network.requires_grad_(False).eval()
        self.dim = network.pooled_width
        self.image_size = network.image_size
        self.logit_scale = 1.0
        head = {id(tensor) for part in network.heads() for tensor in part.parameters()}
        body = network.state_dict(keep_vars=True)
        weights = tensors_sha256({k: t for k, t in body.items() if id(t) not in head})
        self.weights_hash = hashlib.sha256(f"{weights} {interpolation}".encode()).hexdigest()

    def train(self, mode: bool = True) -> VisionOnlyTeacher:
        """Stays in eval mode: a frozen teacher's BatchNorm must not move."""
        return super().train(False)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] → ``(B, dim)``, unit length, with the graph kept."""
        pixels = resized(images, self.image_size, self.interpolation)
        return F.normalize(self.network(pixels).pooled, dim=-1)

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


def load_vision_teacher(
    name: str, image_size: int | None = None, emit: Emit = ignore
) -> VisionOnlyTeacher:
    """One of ``PACKAGED_TEACHERS``, or ``timm:<name>`` with timm's pretrained weights.

    ``image_size`` in pixels is what images are resized to; by default what the weights were
    trained at. torch's random state is left as it was. ``emit`` hears of a download. Raises
    ``UserError`` for an unknown name and for weights that are neither on this machine nor to be
    had, or that hold more than tensors.
    """
    if name in PACKAGED_TEACHERS:
        package = PACKAGED_TEACHERS[name]
        spec = NetworkSpec(name=package.network, weights=package.weights)
    elif name.startswith(TIMM_PREFIX):
        spec = NetworkSpec(name=name[len(TIMM_PREFIX) :], pretrained=True)
        fetch_weights(name, emit)
    else:
        raise UserError(
            f"There is no vision-only teacher “{name}”. Give {', '.join(PACKAGED_TEACHERS)}, or "
            "timm:NAME with a name from timm, such as timm:resnet18."
        )
    config: Any = timm.get_pretrained_cfg(spec.name)  # there is one: the name was checked
    size = image_size or config.input_size[-1]
    with torch.random.fork_rng(devices=[]):
        # Without a head of its own (DINO, CLIP towers) it gets one output that nobody asks for.
        network = _built(name, spec, max(1, config.num_classes), size)
    return VisionOnlyTeacher(name, network, str(config.interpolation))


def _built(name: str, spec: NetworkSpec, classes: int, size: int) -> Network:
    try:
        network = build_network(spec, classes, size)
    except (UserError, pickle.UnpicklingError) as error:
        cause = error if isinstance(error, pickle.UnpicklingError) else error.__cause__
        if not isinstance(cause, pickle.UnpicklingError) and "weights_only" not in str(cause):
            raise
        raise UserError(
            f"timm has the weights of {name} only as a pickle that holds more than tensors. It "
            "could run code when it is loaded, so it is refused; choose another teacher."
        ) from error
    except SafetensorError as error:
        raise UserError(
            f"The weights of {name} are damaged ({error}). Delete "
            f"{', '.join(str(path) for path in fetch_weights(name))} and try again."
        ) from error
    patch = getattr(getattr(network.model, "patch_embed", None), "patch_size", None)
    if network.token_grid is not None and patch is not None and size % int(patch[0]):
        raise UserError(
            f"The teacher {name} cuts its images into patches of {patch[0]} px, and {size} px is "
            f"no multiple of that: {size // patch[0] * patch[0]} px is."
        )
    return network
