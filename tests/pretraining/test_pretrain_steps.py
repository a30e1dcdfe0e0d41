"""The step of the trainings that make the demo teacher and the pretrained backbones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dait.errors import UserError
from pretraining.schedule import descend


def test_a_step_is_torchs_own_clipped_step() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 2), nn.Linear(4, 2)
    theirs.load_state_dict(ours.state_dict())
    inputs = 10 * torch.randn(8, 4)
    descend(ours(inputs).square().sum(), ours, torch.optim.SGD(ours.parameters()), 0.1, 1.0, 0)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    theirs(inputs).square().sum().backward()
    nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    optimizer.step()
    assert torch.equal(ours.weight, theirs.weight) and torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize(("loss", "what"), [("inf", "loss"), ("steep", "gradient")])
def test_what_is_not_finite_is_not_stepped_on(loss: str, what: str) -> None:
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    output = model(torch.ones(1, 4)).sum()
    value = output * torch.inf if loss == "inf" else (output * 0).abs().sqrt()
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(UserError, match=f"The {what} is .* at step 7"):
        descend(value, model, optimizer, 0.1, 1.0, 7)
    assert torch.equal(model.weight, before)
