from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dait.data.fieldguide.invented import InventedBirds
from dait.data.fieldguide.world import load_world
from dait.errors import UserError
from dait.events import ignore
from dait.models.checkpoint import load_network
from dait.models.network import NetworkSpec, build_network
from pretraining import backbone
from pretraining.backbone import BackboneTraining, attribute_loss, pretrain_backbone

SPEC = NetworkSpec(
    name="resnet10t", output_stride=8, options={"channels": [8, 8, 8, 8], "stem_width": 8}
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> BackboneTraining:
    monkeypatch.setattr(backbone, "HELD_OUT", 16)
    return BackboneTraining(InventedBirds(48, 8, 3, 32, 0), epochs=2, batch_size=16, warmup_steps=1)


def test_the_loss_is_the_mean_over_attributes_of_the_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, 0.0, 0.0]])
    parts = [-2.0 + np.log(np.exp(2) + 1), -0.0 + np.log(np.exp(1) + 2)]
    loss = attribute_loss(logits, torch.tensor([[0, 2]]), [2, 3])
    assert loss.item() == pytest.approx(np.mean(parts), abs=1e-6)


def test_a_backbone_is_written_with_how_it_was_made(tiny: BackboneTraining, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    shares = pretrain_backbone(SPEC, tiny, out, ignore)
    assert set(shares) == set(load_world().attributes)
    loaded = load_network(out)
    assert loaded.network.num_classes == sum(
        len(attribute.values) for attribute in load_world().attributes.values()
    )
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["training"]["birds"]["count"] == 48
    assert facts["held_out"] == pytest.approx(shares)


def test_training_moves_every_layer_and_the_same_seed_gives_the_same_weights(
    tiny: BackboneTraining, tmp_path: Path
) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in ("a", "b", "other")]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        pretrain_backbone(SPEC, replace(tiny, seed=seed), file, ignore)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    trained = load_network(files[0]).network
    torch.manual_seed(0)
    fresh = build_network(SPEC, trained.num_classes, 32)
    before = {name: value.half().float() for name, value in fresh.named_parameters()}
    still = [n for n, v in trained.named_parameters() if v.ndim > 1 and torch.equal(v, before[n])]
    assert still == []


def test_too_few_birds_and_other_faults_are_sentences(
    tiny: BackboneTraining, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"10 birds are too few; take 32 or more"):
        replace(tiny, birds=replace(tiny.birds, count=10))
    with pytest.raises(UserError, match=r"1 epoch or more, not 0"):
        replace(tiny, epochs=0)
    with pytest.raises(UserError, match=r"ends in \.safetensors; found"):
        pretrain_backbone(SPEC, tiny, tmp_path / "student.pt", ignore)


@pytest.mark.slow
def test_few_attributes_may_be_named_and_the_start_is_always_random(
    tiny: BackboneTraining, tmp_path: Path
) -> None:
    world = load_world().attributes
    coarse = replace(tiny, attributes=("back", "shape"))
    first = tmp_path / "first.safetensors"
    shares = pretrain_backbone(SPEC, coarse, first, ignore)
    assert list(shares) == ["shape", "back"]
    classes = load_network(first).network.num_classes
    assert classes == len(world["shape"].values) + len(world["back"].values)
    again = tmp_path / "again.safetensors"
    pretrain_backbone(SPEC.model_copy(update={"weights": str(first)}), coarse, again, ignore)
    for key, tensor in load_network(first).network.state_dict().items():
        assert torch.equal(tensor, load_network(again).network.state_dict()[key])


def test_an_attribute_that_no_bird_has_is_a_sentence(tiny: BackboneTraining) -> None:
    with pytest.raises(UserError, match=r"'antlers'.*shape"):
        replace(tiny, attributes=("shape", "antlers"))
