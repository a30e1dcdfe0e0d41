"""One process or several: who this one is, what it runs on, and how several add up to one.

Every process takes its share of each global batch. The loss of a share is weighted by its part of
the batch and the gradients are summed, so that they are those of the whole batch however unequal
the shares. That is why this is no ``DistributedDataParallel``, which takes the mean of equals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm  # torch's own loses timm's activations
from torch import Tensor, nn

from dait.errors import UserError

T = TypeVar("T")


def _alone() -> None:
    return None


@dataclass(frozen=True)
class World:
    """Process ``rank`` (from 0) of ``size``; ``barrier`` returns when all have come to it.

    device: this process's accelerator, or the CPU; None: whatever the process would use alone.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None
    barrier: Callable[[], None] = _alone
    close: Callable[[], None] = _alone

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and speaks; alone, it is."""
        return self.rank == 0


ALONE = World()


def this_world() -> World:
    """From the environment that ``accelerate launch`` and ``torchrun`` set; otherwise ``ALONE``.

    Raises ``UserError`` where several processes were started but Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return ALONE
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise UserError(
            "Several processes were started, and they need Accelerate: pip install accelerate"
        ) from error
    cpu = not torch.cuda.is_available() or os.environ.get("DAIT_DEVICE") == "cpu"
    # A process may come to the end long before another, so nobody gives up waiting for a day.
    state = PartialState(cpu=cpu, timeout=timedelta(days=1))
    return World(
        state.process_index,
        state.num_processes,
        state.device,
        state.wait_for_everyone,
        state.destroy_process_group,
    )


def devices() -> list[str]:
    """The values of ``DAIT_DEVICE`` that are possible here, the default first."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name, available in there.items() if available] + ["cpu"]


def device() -> torch.device:
    """The device to compute on: an NVIDIA GPU, else Apple's, else the CPU; or ``DAIT_DEVICE``.

    Raises ``UserError`` where ``DAIT_DEVICE`` names a device that is not there.
    """
    own = this_world().device
    if own is not None:
        return own if own.type != "cpu" else torch.device("cpu")  # Accelerate numbers CPUs
    found = devices()
    chosen = os.environ.get("DAIT_DEVICE") or found[0]
    if chosen not in found:
        raise UserError(
            f"DAIT_DEVICE is {chosen!r}, and here are: {', '.join(found)}. Set it to one of these, "
            "or unset it."
        )
    return torch.device(chosen)


def synchronize() -> None:
    """Wait until the device has done all that it was given; on a CPU it has."""
    if device().type != "cpu":
        torch.accelerator.synchronize()


def check_batch(world: World, batch: int) -> None:
    """Raises ``UserError`` where a batch has fewer images than there are processes."""
    if batch < world.size:
        raise UserError(
            f"{world.size} processes cannot share a batch of {batch} images. Start fewer, or "
            "raise train.batch_size."
        )


def sum_over(world: World, tensors: Sequence[Tensor]) -> None:
    """Sums each tensor over the processes, in place, in one go for each type of number."""
    if world.size == 1:
        return
    # In the order of the tensors: every process has to reduce the same types in the same order.
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
        with _all_alive():
            dist.all_reduce(flat)
        _unflatten(flat, same)


def same_for_all(world: World, task: nn.Module) -> None:
    """Gives every process the weights and statistics of the first."""
    if world.size == 1:
        return
    for tensor in task.state_dict().values():
        dense = tensor.contiguous()
        with _all_alive():
            dist.broadcast(dense, 0)
        tensor.copy_(dense)


def average_statistics(world: World, task: nn.Module) -> None:
    """The mean over the processes of BatchNorm's running figures, where each kept its own."""
    if world.size == 1:
        return
    norms = [m for m in task.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    figures = [f for norm in norms for f in (norm.running_mean, norm.running_var) if f is not None]
    sum_over(world, figures)
    for figure in figures:
        figure.div_(world.size)


def rows_of(world: World, count: int) -> range:
    """Which of ``count`` rows are this process's."""
    return range(count * world.rank // world.size, count * (world.rank + 1) // world.size)


def gathered(world: World, own: Tensor, count: int) -> Tensor:
    """All ``count`` rows, of which ``own`` are those of ``rows_of``; the same in every process."""
    if world.size == 1:
        return own
    rows = own.new_zeros((count, *own.shape[1:]))
    part = rows_of(world, count)
    rows[part.start : part.stop] = own
    sum_over(world, [rows])
    return rows


def on_main(world: World, action: Callable[[], T]) -> T:
    """What ``action`` returns in the main process, for all; the others wait and do not call it.

    So that all take the same way: whatever is read from a folder is read once, by the main process.
    A ``UserError`` of ``action`` is raised in every process.
    """
    if world.size == 1:
        return action()
    found: list[Any] = [None, None]
    if world.is_main:
        try:
            found[0] = action()
        except UserError as error:
            found[1] = error
        except BaseException as error:  # raised here as it is; the others must not continue
            found[1] = UserError(f"The main process ended ({type(error).__name__}: {error}).")
            dist.broadcast_object_list(found, 0)
            raise
    with _all_alive():
        dist.broadcast_object_list(found, 0)
    if found[1] is not None:
        raise found[1]
    value: T = found[0]
    return value


def sync_batchnorm(world: World, network: nn.Module) -> nn.Module:
    """BatchNorm over the whole batch where the processes have GPUs; torch has none for CPUs."""
    if world.size == 1 or world.device is None or world.device.type == "cpu":
        return network
    found: nn.Module = convert_sync_batchnorm(network)
    return found


@contextmanager
def _all_alive() -> Iterator[None]:
    """Says in a ``UserError`` that another process ended, which gloo calls a lost connection."""
    try:
        yield
    except RuntimeError as error:
        if "onnection" not in str(error):
            raise
        raise UserError(
            "Another process of this training ended, so this one cannot continue. Its own output "
            "says why; --resume continues from the last checkpoint."
        ) from error


def _unflatten(flat: Tensor, tensors: Iterable[Tensor]) -> None:
    start = 0
    with torch.no_grad():
        for tensor in tensors:
            part = flat[start : start + tensor.numel()]
            tensor.copy_(part.view(tensor.shape))
            start += tensor.numel()
