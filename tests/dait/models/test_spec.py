"""What may stand in a recipe's description of a network."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dait.errors import UserError
from dait.models.spec import NetworkSpec


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet19", "Did you mean .*resnet18"),
        ("hf-hub:timm/resnet18.a1_in1k", "not a network name"),
        ("local-dir:/tmp/model", "not a network name"),
        ("../resnet18", "not a network name"),
        ("resnet18.nonsense", "has no weights “nonsense”.*a1_in1k"),
        ("torchvision:resnet19", "torchvision:resnet18"),
        ("torchvision:vit_b_16", "keeps tokens"),
        ("torchvision:../x", "networks torchvision"),
    ],
)
def test_unknown_or_unsafe_names(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        NetworkSpec(name=name)


@pytest.mark.parametrize("key", ["checkpoint_path", "pretrained_cfg", "features_only", "in_chans"])
def test_unsafe_options_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=f"“{key}”"):
        NetworkSpec(name="resnet18", options={key: "x"})


def test_near_option_is_named_and_nested_values_are_refused() -> None:
    with pytest.raises(UserError, match="Did you mean channels"):
        NetworkSpec(name="resnet18", options={"chanels": [8]})
    with pytest.raises(UserError, match="give a number"):
        NetworkSpec(name="resnet18", options={"act_layer": {"file": "x"}})


def test_unknown_field_and_stride_are_validation_errors() -> None:
    with pytest.raises(ValidationError, match="wights"):
        NetworkSpec.model_validate({"name": "resnet18", "wights": "x"})
    with pytest.raises(ValidationError, match="output_stride"):
        NetworkSpec.model_validate({"name": "resnet18", "output_stride": 4})
