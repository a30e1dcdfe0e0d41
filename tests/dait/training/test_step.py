"""One step: pieces add up, few bits are enough, and what goes wrong is said in a sentence."""

from __future__ import annotations

import math

import pytest
import torch
from colours import Colours, network
from torch import Tensor

from dait.config.train import TrainConfig
from dait.distributed import ALONE
from dait.errors import UserError
from dait.events import EpochDone, Event, ignore
from dait.models.network import Network, NetworkSpec, build_network
from dait.tasks.base import Batch, Task, TaskOutput
from dait.tasks.independent import IndependentTask
from dait.training.loop import train_stage
from dait.training.precision import check_precision
from dait.training.step import Step
from dait.training.views import StagePosition

CPU = torch.device("cpu")
CONFIG = TrainConfig(batch_size=10, optimizer="sgd", momentum=0, weight_decay=0, learning_rate=0.1)


def batch(count: int = 10) -> Batch:
    rng = torch.Generator().manual_seed(0)
    return Batch(torch.rand(count, 3, 32, 32, generator=rng), torch.arange(count) % 2)


def without_batchnorm() -> Network:
    torch.manual_seed(0)
    return build_network(NetworkSpec(name="test_vit", options={"depth": 2}), 2, 32)


def stepped(config: TrainConfig, net: Network) -> tuple[dict[str, float], list[Tensor]]:
    task = IndependentTask(net.train(), "full")
    step = Step(task, config, ALONE, CPU)
    values = step.update(step.forward_backward(batch(), 10), 0.1, 1)
    return values, [p.detach() for p in task.parameters()]


@pytest.mark.parametrize("count", [2, 3, 10, 100])
def test_pieces_make_the_same_step(count: int) -> None:
    whole, expected = stepped(CONFIG, without_batchnorm())
    changed = CONFIG.model_copy(update={"accumulation": count})
    values, found = stepped(changed, without_batchnorm())
    assert values == pytest.approx(whole, rel=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    moved = [torch.dist(a, b) for a, b in zip(expected, without_batchnorm().parameters())]  # noqa: B905
    assert max(moved) > 1e-2


@pytest.mark.parametrize("limit", [0, None])
def test_gradients_are_not_clipped(limit: float | None) -> None:
    config = CONFIG.model_copy(update={"gradient_clip": limit})
    free, far = stepped(config, without_batchnorm())
    _, near = stepped(CONFIG.model_copy(update={"gradient_clip": 1e-3}), without_batchnorm())
    start = [p.detach() for p in without_batchnorm().parameters()]

    def moved(weights: list[Tensor]) -> float:
        return math.sqrt(sum(float(torch.dist(a, b)) ** 2 for a, b in zip(weights, start)))  # noqa: B905

    assert moved(near) == pytest.approx(1e-4, rel=1e-2) and moved(far) > 1e-2
    assert set(free) == {"loss", "classification"}


@pytest.mark.parametrize("limit", [1e-3, 0.1, 1.0, 1e3])
def test_clipping_is_torch_s_own(limit: float) -> None:
    _, found = stepped(CONFIG.model_copy(update={"gradient_clip": limit}), without_batchnorm())
    task = IndependentTask(without_batchnorm().train(), "full")
    optimizer = torch.optim.SGD(task.parameters(), lr=0.1)
    task(batch()).loss.backward()
    torch.nn.utils.clip_grad_norm_(task.parameters(), limit)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(found, task.parameters(), strict=True))


def test_bf16_learns_too() -> None:
    config = TrainConfig(batch_size=8, precision="bf16", learning_rate=5e-3, warmup_epochs=1)
    events, dtypes = list[Event](), set[torch.dtype]()

    class Watching(IndependentTask):
        def forward(self, batch: Batch) -> TaskOutput:
            dtypes.add(self.network(batch.images).logits.dtype)
            output = super().forward(batch)
            dtypes.add(output.loss.dtype)
            return output

    task: Task = Watching(network(), "light")
    train_stage(task, Colours(), config, StagePosition(0, 1, 6, seed=0), None, events.append)
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert epochs[-1].loss < 0.8 * epochs[0].loss
    assert dtypes == {torch.bfloat16, torch.float32}  # the network's answers, and the loss of them
    assert {p.dtype for p in task.parameters()} == {torch.float32}


def test_fp16_needs_a_gpu() -> None:
    for device in (CPU, torch.device("mps")):
        with pytest.raises(UserError, match=r"train.precision is fp16, which needs an NVIDIA GPU"):
            check_precision("fp16", device)
    check_precision("bf16", CPU)
    config = TrainConfig(batch_size=8, precision="fp16")
    task = IndependentTask(network(), "full")
    with pytest.raises(UserError, match="fp32"):
        train_stage(task, Colours(), config, StagePosition(0, 1, 1, seed=0), None, ignore)


class Hungry(IndependentTask):
    """Asks for more memory than any machine has."""

    def forward(self, batch: Batch) -> TaskOutput:
        torch.empty(2**52)
        return super().forward(batch)


def test_a_batch_that_does_not_fit_is_said_in_words() -> None:
    config = TrainConfig(batch_size=8, accumulation=2)
    with pytest.raises(UserError) as caught:
        train_stage(
            Hungry(network(), "full"),
            Colours(),
            config,
            StagePosition(0, 1, 1, seed=0),
            None,
            ignore,
        )
    sentence = str(caught.value)
    assert "A batch of 8 images in 2 pieces does not fit into the memory" in sentence
    assert "Raise train.accumulation" in sentence and "lower train.batch_size" in sentence


class Broken(IndependentTask):
    def forward(self, batch: Batch) -> TaskOutput:
        raise RuntimeError("something else")


def test_other_faults_pass_through() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        train_stage(
            Broken(network(), "full"),
            Colours(),
            CONFIG,
            StagePosition(0, 1, 1, seed=0),
            None,
            ignore,
        )


class Steep(IndependentTask):
    """A loss that is finite, with a gradient that is not."""

    def forward(self, batch: Batch) -> TaskOutput:
        output = super().forward(batch)
        steep = torch.sqrt((output.logits * 0).sum().abs())
        return TaskOutput(output.loss + steep, output.logits, {**output.parts, "steep": steep})


@pytest.mark.parametrize("limit", [5.0, 0, None])
def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched(
    limit: float | None,
) -> None:
    config = CONFIG.model_copy(update={"gradient_clip": limit})
    task = Steep(network(), "full")
    before = {name: p.detach().clone() for name, p in task.named_parameters()}
    with pytest.raises(UserError, match=r"The gradient of the stage “student” is nan at step 1"):
        train_stage(task, Colours(), config, StagePosition(0, 1, 1, seed=0), None, ignore)
    assert all(torch.equal(before[name], p) for name, p in task.named_parameters())
