"""Networks worth knowing, each with what it is good for, and the search over all others.

Imports nothing heavy: the app reads the list while it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["paper", "small", "modern"]

TORCHVISION = "torchvision:"
"""What the names of torchvision's networks begin with; all others are timm's."""

UNFIT: dict[str, str] = {
    "densenet": "a function between its last map and its head belongs to no module",
    "googlenet": "it trains with further heads half-way",
    "inception": "it trains with further heads half-way",
    "squeezenet": "its head is a convolution before the pooling",
    "vit": "it keeps tokens, not a map",
}
"""Torchvision's classifiers that the wrapper does not take, by how their names begin, and why."""


@dataclass(frozen=True)
class NetworkEntry:
    """A network of the curated list: its name in a recipe and what to choose it for."""

    name: str
    group: Group
    use: str


CURATED: tuple[NetworkEntry, ...] = (
    NetworkEntry("resnet18", "paper", "the paper's plain CNN; takes output_stride 16 and 8"),
    NetworkEntry("mobilenetv2_100", "paper", "the paper's mobile CNN; takes output_stride 16"),
    NetworkEntry("torchvision:shufflenet_v2_x1_0", "paper", "the paper's cheapest student"),
    NetworkEntry("efficientnet_b0", "paper", "the paper's EfficientNet; takes output_stride 16"),
    NetworkEntry("resnet10t", "small", "a quick first try: ResNet with one block a stage"),
    NetworkEntry("regnetx_002", "small", "learns steadily in short trainings from scratch"),
    NetworkEntry("mobilenetv2_035", "small", "MobileNetV2 at a third of its width"),
    NetworkEntry("mobilenetv2_050", "small", "MobileNetV2 at half its width"),
    NetworkEntry("mobilenetv3_small_050", "small", "among the fastest on a CPU"),
    NetworkEntry("mobilenetv3_small_100", "small", "fast on a CPU, learns steadily from scratch"),
    NetworkEntry("mobilenetv4_conv_small_050", "small", "MobileNetV4 at half its width"),
    NetworkEntry("lcnet_050", "small", "made for CPUs; among the smallest here"),
    NetworkEntry("torchvision:shufflenet_v2_x0_5", "small", "ShuffleNetV2 at half its width"),
    NetworkEntry("ghostnet_100", "small", "half of its features come from cheap operations"),
    NetworkEntry("tf_efficientnet_lite0", "small", "EfficientNet without what phones are slow at"),
    NetworkEntry("vit_tiny_patch16_224", "small", "a plain transformer; wants pretrained weights"),
    NetworkEntry("mobilenetv4_conv_small", "modern", "MobileNetV4 (2024), fast on any processor"),
    NetworkEntry("ghostnetv3_100", "modern", "GhostNetV3 (2024), branches merge for use"),
    NetworkEntry("fastvit_t8", "modern", "FastViT (2023), convolutions that merge for use"),
    NetworkEntry("mobilevit_xxs", "modern", "MobileViT (2022), convolutions and attention mixed"),
    NetworkEntry("mobilevitv2_050", "modern", "MobileViTv2 (2022), with attention of linear cost"),
    NetworkEntry("repvit_m0_9", "modern", "RepViT (2024), a mobile CNN laid out like a ViT"),
    NetworkEntry("efficientformerv2_s0", "modern", "EfficientFormerV2 (2023), a small hybrid"),
    NetworkEntry("edgenext_xx_small", "modern", "EdgeNeXt (2022), a hybrid of a million weights"),
    NetworkEntry("convnext_atto", "modern", "the smallest ConvNeXt; takes output_stride 16 and 8"),
    NetworkEntry("starnet_s1", "modern", "StarNet (2024), multiplies features where others add"),
    NetworkEntry("mobileone_s0", "modern", "MobileOne (2023), a plain CNN once it is merged"),
    NetworkEntry("tiny_vit_5m_224", "modern", "TinyViT (2022), made to be distilled into"),
)
"""Networks small enough to train without a GPU, each with the whole wrapper working."""

CURATED_NAMES: frozenset[str] = frozenset(entry.name for entry in CURATED)

IN_RECIPES: frozenset[str] = frozenset({"resnet50", "tf_efficientnet_lite2"})
"""Further networks of the bundled recipes, known without asking timm: that takes seconds,
and the app reads its recipes while it starts."""


def what_for(name: str) -> str:
    """What a curated network is good for, in a few words; empty for any other."""
    return next((entry.use for entry in CURATED if entry.name == name), "")


def all_names() -> list[str]:
    """Every name that can be given: the curated ones, then timm's and torchvision's by alphabet.

    Imports timm and torchvision: some seconds at the first call.
    """
    import timm

    names = [*timm.list_models(), *torchvision_names()]
    return [*(entry.name for entry in CURATED), *sorted(set(names) - CURATED_NAMES)]


def torchvision_names() -> list[str]:
    """Torchvision's classifiers that have a map and a linear head; imports torchvision."""
    from torchvision import models

    names = models.list_models(module=models)
    return [TORCHVISION + name for name in names if unfit(name) is None]


def unfit(name: str) -> str | None:
    """Why the wrapper does not take torchvision's network of this name; None where it may."""
    return next((why for start, why in UNFIT.items() if name.startswith(start)), None)


def search_networks(text: str) -> list[str]:
    """The names that have every word of ``text`` in them, in any order and case.

    The name itself comes first, then curated networks, then those that begin with the first word,
    short names before long ones. An empty text finds all. Imports timm and torchvision.
    """
    words = text.lower().split()
    found = [name for name in all_names() if all(word in name.lower() for word in words)]

    if not words:
        return found

    def rank(name: str) -> tuple[bool, bool, bool, int]:
        bare = name.removeprefix(TORCHVISION).lower()
        exact, begins = [name.lower()] == words, bare.startswith(words[0])
        return not exact, name not in CURATED_NAMES, not begins, len(name)

    return sorted(found, key=rank)
