"""One process or several: who this one is, what it runs on, and how several add up to one.

Every process takes its share of each global batch. The loss of a share is weighted by its part of
the batch and the gradients are summed, so that they are those of the whole batch however unequal
the shares. That is why this is no ``DistributedDataParallel``, which takes the mean of equals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dait.errors import UserError
from dait.teachers.cache.share import Share, this_share

T = TypeVar("T")


def world() -> Share:
    """Which of how many processes this one is, as Accelerate (or torchrun) started them."""
    return this_share()


def is_main() -> bool:
    """Whether this is the process that writes and speaks; alone, it is."""
    return world().is_main


def device() -> torch.device:
    """The device to compute on: an NVIDIA GPU, else Apple's, else the CPU; or ``DAIT_DEVICE``.

    Raises ``UserError`` where ``DAIT_DEVICE`` names a device that is not there.
    """
    own = world().device
    if own is not None:
        return own if own.type != "cpu" else torch.device("cpu")  # Accelerate numbers CPUs
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found = [name for name, available in there.items() if available] + ["cpu"]
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


def check_shares(share: Share, batch: int) -> None:
    """Raises ``UserError`` where a batch has fewer images than there are processes."""
    if batch < share.count:
        raise UserError(
            f"{share.count} processes cannot share a batch of {batch} images. Start fewer, or "
            "raise train.batch_size."
        )


def sum_over(share: Share, tensors: Sequence[Tensor]) -> None:
    """Sums each tensor over the processes, in place, in one go for each type of number."""
    if share.count == 1:
        return
    # In the order of the tensors: every process has to reduce the same types in the same order.
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
        with _all_alive():
            dist.all_reduce(flat)
        _unflatten(flat, same)


def same_for_all(share: Share, task: nn.Module) -> None:
    """Gives every process the weights and statistics of the first."""
    if share.count == 1:
        return
    for tensor in task.state_dict().values():
        dense = tensor.contiguous()
        with _all_alive():
            dist.broadcast(dense, 0)
        tensor.copy_(dense)


def average_statistics(share: Share, task: nn.Module) -> None:
    """The mean over the processes of BatchNorm's running figures, where each kept its own."""
    if share.count == 1:
        return
    norms = [m for m in task.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    figures = [f for norm in norms for f in (norm.running_mean, norm.running_var) if f is not None]
    sum_over(share, figures)
    for figure in figures:
        figure.div_(share.count)


def rows_of(share: Share, count: int) -> range:
    """Which of ``count`` rows are this process's."""
    return range(count * share.index // share.count, count * (share.index + 1) // share.count)


def gathered(share: Share, own: Tensor, count: int) -> Tensor:
    """All ``count`` rows, of which ``own`` are those of ``rows_of``; the same in every process."""
    if share.count == 1:
        return own
    rows = own.new_zeros((count, *own.shape[1:]))
    part = rows_of(share, count)
    rows[part.start : part.stop] = own
    sum_over(share, [rows])
    return rows


def on_main(share: Share, action: Callable[[], T]) -> T:
    """What ``action`` returns in the main process, for all; the others wait and do not call it.

    So that all take the same way: whatever is read from a folder is read once, by the main process.
    A ``UserError`` of ``action`` is raised in every process.
    """
    if share.count == 1:
        return action()
    found: list[Any] = [None, None]
    if share.is_main:
        try:
            found[0] = action()
        except UserError as error:
            found[1] = error
        except BaseException as error:  # raised here as it is; the others must not go on
            found[1] = UserError(f"The main process ended ({type(error).__name__}: {error}).")
            dist.broadcast_object_list(found, 0)
            raise
    with _all_alive():
        dist.broadcast_object_list(found, 0)
    if found[1] is not None:
        raise found[1]
    value: T = found[0]
    return value


def share_statistics(share: Share, network: nn.Module) -> nn.Module:
    """BatchNorm over the whole batch where the processes have GPUs; torch has none for CPUs."""
    if share.count == 1 or share.device is None or share.device.type == "cpu":
        return network
    from timm.layers import convert_sync_batchnorm  # torch's own loses timm's activations

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
            "Another process of this training ended, so this one cannot go on. Its own output says "
            "why; --resume continues from the last checkpoint."
        ) from error


def _unflatten(flat: Tensor, tensors: Iterable[Tensor]) -> None:
    start = 0
    with torch.no_grad():
        for tensor in tensors:
            part = flat[start : start + tensor.numel()]
            tensor.copy_(part.view(tensor.shape))
            start += tensor.numel()
