"""torchvision's ShuffleNetV2 behind the three methods by which timm's networks are taken apart."""

from __future__ import annotations

from urllib.error import URLError

from torch import Tensor, nn

from dait.errors import UserError
from dait.models.spec import TORCHVISION_NETWORKS, NetworkSpec

STAGE_REPEATS = (4, 8, 4)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ShuffleNet(nn.Module):
    """ShuffleNetV2 (Ma et al. 2018) with timm's way of splitting body, head and classifier."""

    def __init__(self, widths: list[int], num_classes: int) -> None:
        from torchvision.models import ShuffleNetV2

        super().__init__()
        self.body = ShuffleNetV2(list(STAGE_REPEATS), widths, num_classes=num_classes)
        self.pretrained_cfg = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}

    def forward_features(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)``, normalised → ``(B, C, h, w)``."""
        body = self.body
        out = body.maxpool(body.conv1(images))
        return body.conv5(body.stage4(body.stage3(body.stage2(out))))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """``(B, C, h, w)`` → ``(B, C)`` with ``pre_logits``, else ``(B, classes)``."""
        pooled = features.mean(dim=(2, 3))
        return pooled if pre_logits else self.body.fc(pooled)

    def get_classifier(self) -> nn.Module:
        """The linear head."""
        return self.body.fc

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)``, normalised → ``(B, classes)``."""
        return self.body(images)


def create_shufflenet(spec: NetworkSpec, num_classes: int) -> ShuffleNet:
    """A ShuffleNetV2; the only option is ``width_mult``, which scales its three stages.

    Raises ``UserError`` for other options, and for pretrained weights that cannot be had.
    """
    others = set(spec.options) - {"width_mult"}
    if others:
        raise UserError(
            f"{spec.name} has only the option width_mult; found {', '.join(sorted(others))}."
        )
    width = spec.options.get("width_mult", 1.0)
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not 0.1 <= width <= 4:
        raise UserError(f"width_mult is {width!r}; give a number between 0.1 and 4.")
    stem, *stages, last = TORCHVISION_NETWORKS[spec.name]
    # Every stage is split into two branches of equal width, so its width must be even.
    stages = [max(2, 2 * round(channels * width / 2)) for channels in stages]
    network = ShuffleNet([stem, *stages, last], num_classes)
    if spec.pretrained:
        if width != 1:
            raise UserError(f"{spec.name} has pretrained weights only at width_mult 1.")
        _load_pretrained(network, spec.name)
    return network


def _load_pretrained(network: ShuffleNet, name: str) -> None:
    from torchvision.models import get_model_weights

    weights = get_model_weights(name.partition(":")[2])["DEFAULT"]
    try:
        tensors = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        raise UserError(
            f"The pretrained weights of {name} could not be downloaded ({error}). Connect to the "
            "internet once, so that torchvision can cache them, or set pretrained: false."
        ) from error
    classes = network.body.fc.out_features
    if tensors["fc.weight"].shape[0] != classes:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("fc.")}
        tensors |= {f"fc.{key}": value for key, value in network.body.fc.state_dict().items()}
    network.body.load_state_dict(tensors)
