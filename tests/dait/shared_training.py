"""A few short trainings, for one process alone or for several that share them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from colours import Colours, network
from torch import Tensor

from dait import distributed
from dait.config.train import TrainConfig
from dait.distributed import World
from dait.errors import Stopped, UserError
from dait.events import EpochDone, Event, StepDone
from dait.models.network import Network, NetworkSpec, build_network
from dait.tasks.independent import IndependentTask
from dait.training.checkpoint import StepCheckpoints
from dait.training.inference import predict_split
from dait.training.loop import train_stage
from dait.training.views import StagePosition

# 15 images make three batches of 5, of which two processes have shares of 2 and 3.
CONFIG = TrainConfig(batch_size=5, learning_rate=1e-3, warmup_epochs=0)
STAGE = StagePosition(0, 1, 2, seed=0)


def plain() -> Network:
    """Without BatchNorm, and another in every process: they have to agree on the first one's."""
    torch.manual_seed(distributed.this_world().rank)
    return build_network(NetworkSpec(name="test_vit", options={"depth": 2}), 2, 32)


def train(
    net: Network, config: TrainConfig, keep: StepCheckpoints | None = None, stop_at: int = 0
) -> dict[str, Any]:
    """The losses that were told, by step and by epoch, and the validation figure."""
    told: dict[str, Any] = {"steps": [], "epochs": [], "val": None}

    def emit(event: Event) -> None:
        if isinstance(event, StepDone):
            told["steps"].append(event.loss)
            if event.step == stop_at:
                raise Stopped
        if isinstance(event, EpochDone):
            told["epochs"].append([event.loss, event.val_top1, event.val_loss])

    task = IndependentTask(net, "light")
    with suppress(Stopped):
        told["val"] = train_stage(task, Colours(train=15), config, STAGE, None, emit, keep)
    return told


def train_some(folder: Path) -> dict[str, Any]:
    """Everything that one and two processes are compared by."""
    world, found, net = distributed.this_world(), dict[str, Any](), plain()
    found["plain"] = train(net, CONFIG)
    found["weights"] = [float(p.detach().double().sum()) for p in net.parameters()]
    logits = predict_split(net, Colours().split("val"), world=world).logits
    found["logits"] = logits.sum().item()
    found["pieces"] = train(plain(), CONFIG.model_copy(update={"accumulation": 2}))
    shared = StepCheckpoints(folder / "shared.pt", steps_between=1)
    if world.size == 1:  # what one process begins, several go on with
        found["cut"] = train(plain(), CONFIG, shared, stop_at=4)
    else:
        found["rest"] = train(plain(), CONFIG, shared)
    normed = network()
    found["normed_training"] = train(normed, CONFIG)
    found["normed"] = normed.model.bn1.running_mean.tolist()
    world.barrier()
    found["files"] = sorted(file.name for file in folder.glob("shared*"))
    if world.size > 1:
        found |= decide_some(world)
    found["is_main"], found["device"] = world.is_main, str(distributed.device())
    return found


def decide_some(world: World) -> dict[str, Any]:
    """What is decided by one and known to all, and in which order types are summed."""

    def refuse() -> None:
        raise UserError(f"process {world.rank} refuses")

    found: dict[str, Any] = {"decided": distributed.on_main(world, lambda: world.rank)}
    try:
        distributed.on_main(world, refuse)
    except UserError as error:
        found["refused"] = str(error)
    types = (torch.float32, torch.float64, torch.int64, torch.float16, torch.int32, torch.bfloat16)
    summed, all_reduce = [], torch.distributed.all_reduce

    def watched(flat: Tensor) -> None:
        summed.append(str(flat.dtype).removeprefix("torch."))
        all_reduce(flat)

    torch.distributed.all_reduce = watched
    distributed.sum_over(world, [torch.ones(2, dtype=dtype) for dtype in types])
    torch.distributed.all_reduce = all_reduce
    return found | {"dtypes": summed}


def train_share(folder: Path) -> None:
    """In one of several processes: leaves what it found in a file named by its world and rank."""
    world = distributed.this_world()
    (folder / f"{world.size}-{world.rank}.json").write_text(json.dumps(train_some(folder)))
    world.close()
