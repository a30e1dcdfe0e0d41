"""A student's weights as the state dict of its own library, which loads without this project."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from dait.data.base import ClassInfo
from dait.data.images.frame import Framing
from dait.models.catalogue import TORCHVISION
from dait.models.create import takes_size
from dait.models.network import Network
from dait.models.spec import NetworkSpec
from dait.models.tensors import load_tensors
from dait.models.torchvision_networks import SHUFFLENET_REPEATS, create_torchvision

WEIGHTS, FP16 = "model.safetensors", "model.fp16.safetensors"


@dataclass(frozen=True)
class PlainWeights:
    """A state dict, and what it leaves out: empty where it has all of the student."""

    tensors: Mapping[str, Tensor]
    left_out: str = ""


def plain_weights(network: Network) -> PlainWeights:
    """The state dict of timm's or torchvision's own network, without a prefix.

    One head has a place in it. A second, linear head that answers alone takes the place of the
    first; a mixture of two heads, and a head of cosines, are no linear layer: the first head is
    kept then, and ``left_out`` says so.
    """
    model = copy.deepcopy(_own_model(network))
    mix = network.mix
    if mix is None or mix.own_weight == 1:
        return PlainWeights(model.state_dict())
    heads = network.heads()
    second = mix.second
    if mix.own_weight == 0 and isinstance(second, nn.Linear) and len(heads) == 1:
        place = next(name for name, part in network.named_modules() if part is heads[0])
        head = model.get_submodule(place.removeprefix("model.").removeprefix("body."))
        if isinstance(head, nn.Linear) and head.weight.shape == second.weight.shape:
            with torch.no_grad():
                head.weight.copy_(second.weight / mix.temperature)
                head.bias.copy_(second.bias / mix.temperature)
            return PlainWeights(model.state_dict())
    what = (
        "The student answers by a head of cosines with the class texts"
        if mix.own_weight == 0
        else f"The student answers by two heads, {mix.own_weight:.0%} of them its own"
    )
    return PlainWeights(
        model.state_dict(),
        f"{what}, which is not one linear layer: model.onnx has it, model.safetensors has the own "
        "head alone.",
    )


def halved(network: Network, weights: PlainWeights) -> dict[str, Tensor]:
    """The state dict with its parameters in fp16; statistics, and what fp16 cannot hold, stay."""
    found = dict(weights.tensors)
    for key, _ in _own_model(network).named_parameters():
        half = found[key].detach().half()
        if torch.isfinite(half).all():
            found[key] = half
    return found


def is_torchvision(spec: NetworkSpec) -> bool:
    """Whether torchvision has the network; all others are timm's."""
    return spec.name.startswith(TORCHVISION)


def library_config(
    network: Network, classes: Sequence[ClassInfo], framing: Framing
) -> dict[str, Any]:
    """``config.json``: in the form of timm's models on the Hub, torchvision's networks too."""
    spec = network.spec
    options = {key: value for key, value in spec.options.items() if key != "stem_stride"}
    if spec.output_stride != 32:
        options["output_stride"] = spec.output_stride
    if not is_torchvision(spec) and takes_size(spec.name):
        options["img_size"] = framing.size
    known = network.model.pretrained_cfg
    crop_pct = 1.0 if framing.fit == "letterbox" else framing.size / framing.short_side
    config: dict[str, Any] = {
        "architecture": _architecture(spec),
        "num_classes": network.num_classes,
        "num_features": network.pooled_width,
        "label_names": [info.key for info in classes],
        "label_descriptions": {info.key: info.name for info in classes},
        "model_args": options,
        "pretrained_cfg": {
            "tag": "dait",
            "custom_load": False,
            "input_size": [3, framing.size, framing.size],
            "fixed_input_size": bool(known.get("fixed_input_size", False)),
            "interpolation": "bicubic",
            "crop_pct": crop_pct,
            "crop_mode": "border" if framing.fit == "letterbox" else "center",
            "mean": network.mean.flatten().tolist(),
            "std": network.std.flatten().tolist(),
            "num_classes": network.num_classes,
            "pool_size": list(network.map_size),
            **{key: known[key] for key in ("first_conv", "classifier") if known.get(key)},
        },
    }
    if is_torchvision(spec):
        config["library"] = "torchvision"
    if "stem_stride" in spec.options:
        config["stem_stride"] = spec.options["stem_stride"]
    return config


def reload_plain(file: Path, config: Mapping[str, Any]) -> nn.Module:
    """The network of a bundle's weights by its own library, as its card says, in eval mode.

    config: its ``config.json``. The network takes normalised images and gives logits.
    """
    name, options = config["architecture"], dict(config["model_args"])
    if config.get("library") == "torchvision":
        model = _torchvision_body(name, config["num_classes"], options)
        tensors: Any = OrderedDict(load_tensors(file))
        tensors._metadata = model.state_dict()._metadata  # MNASNet asks for its version
        model.load_state_dict(tensors)
    else:
        model = timm.create_model(
            name, checkpoint_path=str(file), num_classes=config["num_classes"], **options
        )
    if config.get("stem_stride") == 1:
        for module in model.modules():
            reads_image = isinstance(module, nn.Conv2d) and module.in_channels == 3
            if reads_image and module.stride == (2, 2):
                module.stride = (1, 1)
    return model.eval()


def loading_code(config: Mapping[str, Any]) -> str:
    """Python that makes ``model`` of the files of a bundle, for its card."""
    name, classes = config["architecture"], config["num_classes"]
    options = "".join(f", {key}={value!r}" for key, value in config["model_args"].items())
    lines = ["import timm", ""]
    made = f"timm.create_model({name!r}, checkpoint_path='model.safetensors', "
    loaded: list[str] = []
    if config.get("library") == "torchvision":
        lines = ["import torchvision", "from safetensors.torch import load_file", ""]
        made = f"torchvision.models.get_model({name!r}, "
        if "width_mult" in config["model_args"]:  # torchvision has no word for it
            body = _torchvision_body(name, classes, config["model_args"])
            repeats, widths = list(SHUFFLENET_REPEATS), body._stage_out_channels
            made, options = f"torchvision.models.ShuffleNetV2({repeats}, {widths}, ", ""
        loaded = ["weights = load_file('model.safetensors')", "model.load_state_dict(weights)"]
        if name.startswith("mnasnet"):  # asks the weights for their version
            lines.insert(0, "from collections import OrderedDict")
            kept = "weights._metadata = model.state_dict()._metadata"
            loaded[1:1] = ["weights = OrderedDict(weights)", kept]
    lines += [f"model = {made}num_classes={classes}{options})", *loaded]
    if config.get("stem_stride") == 1:
        lines += [
            "# The first convolution keeps the size of the image, as it was trained:",
            "for module in model.modules():",
            "    if getattr(module, 'in_channels', 0) == 3 and module.stride == (2, 2):",
            "        module.stride = (1, 1)",
        ]
    return "\n".join([*lines, "model.eval()"])


def _own_model(network: Network) -> nn.Module:
    own: nn.Module = network.model.body if is_torchvision(network.spec) else network.model
    return own


def _architecture(spec: NetworkSpec) -> str:
    return spec.name.removeprefix(TORCHVISION).partition(".")[0]


def _torchvision_body(name: str, classes: int, options: Mapping[str, Any]) -> Any:
    spec = NetworkSpec(name=TORCHVISION + name, options=dict(options))
    return create_torchvision(spec, classes).body
