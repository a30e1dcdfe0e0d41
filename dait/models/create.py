"""From a spec to the library's own network, or to a sentence that says why there is none."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from dait.errors import UserError
from dait.models.catalogue import TORCHVISION
from dait.models.spec import NetworkSpec
from dait.models.torchvision_networks import create_torchvision, shown_size


def create_model(spec: NetworkSpec, num_classes: int, image_size: int) -> Any:
    """timm's or torchvision's network of ``spec``, with ``spec.pretrained`` weights if asked.

    Raises ``UserError`` when it has no stride or stem to change, and when pretrained weights
    is not available; what the library raises for an option or a size is passed on.
    """
    options = dict(spec.options)
    stem_stride = options.pop("stem_stride", 2)
    plain = spec.model_copy(update={"options": options})
    if spec.name.startswith(TORCHVISION):
        if spec.output_stride != 32:
            raise stride_refused(spec)
        model: Any = create_torchvision(plain, num_classes)
    else:
        model = _create_timm(plain, num_classes, image_size)
    if stem_stride != 2:
        _keep_size_in_stem(model, spec.name, stem_stride)
    return model


def own_size(name: str) -> int:
    """The side in pixels of the images that a network was made for."""
    if name.startswith(TORCHVISION):
        return shown_size(name)
    config: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return int(config.input_size[-1])


def takes_size(name: str) -> bool:
    """Whether a network is built for one size of images; others take it as ``img_size``."""
    if name.startswith(TORCHVISION):
        return False
    return bool(timm.get_pretrained_cfg_value(name, "fixed_input_size"))


def stride_refused(spec: NetworkSpec) -> UserError:
    """The sentence for a network that cannot be dilated, with what to do instead."""
    return UserError(
        f"{spec.name} cannot be dilated to output_stride {spec.output_stride}. ResNet, RegNet, "
        "MobileNetV2, EfficientNet(-Lite), RepVGG and ConvNeXt of timm can; torchvision's "
        "networks, MobileNetV3 and V4, LCNet, GhostNet and transformers cannot. Keep output_stride "
        "32 and, for a larger map, use larger images, set options: {stem_stride: 1} (CNNs) or "
        "{patch_size: 8} (ViT), or choose another network."
    )


def first_line(error: Exception) -> str:
    """An error's type and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _create_timm(spec: NetworkSpec, num_classes: int, image_size: int) -> Any:
    options = dict(spec.options)
    if options.get("img_size", image_size) != image_size:
        raise UserError(
            f"{spec.name} has img_size {options['img_size']} but the images have {image_size} px; "
            "leave img_size out."
        )
    # Transformers must know the size of their images; CNNs do not take the word.
    options.pop("img_size", None)
    if takes_size(spec.name):
        options["img_size"] = image_size
    if spec.output_stride != 32:
        options["output_stride"] = spec.output_stride
    try:
        return timm.create_model(
            spec.name, pretrained=spec.pretrained, num_classes=num_classes, **options
        )
    except OSError as error:
        raise UserError(
            f"The pretrained weights of {spec.name} are not on this machine and could not be "
            f"downloaded ({first_line(error)}). Connect to the internet once, so that timm can "
            "cache them, or set pretrained: false."
        ) from error


def _keep_size_in_stem(model: nn.Module, name: str, stride: object) -> None:
    """Set the stride of every convolution that reads the image (a stem may branch) to 1.

    The usual change to an ImageNet network for small images (He et al. 2016 for CIFAR): it has the
    same weights, twice the map and about four times the operations.
    """
    if stride != 1 or isinstance(stride, bool):
        raise UserError(
            f"stem_stride is {stride!r}; 1 lets the convolution that reads the image keep its "
            "size, 2 leaves the network as it is."
        )
    reading = [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.stride == (2, 2)
    ]
    if not reading:
        raise UserError(
            f"{name} has no first convolution of stride 2, so stem_stride means nothing to it. "
            "ConvNeXt and transformers take a smaller patch_size; or use larger images."
        )
    for module in reading:
        module.stride = (1, 1)
