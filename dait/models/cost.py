"""What a network costs: parameters, multiply–accumulates, latency on the CPU, file size."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dait.errors import UserError
from dait.models.network import Network


@dataclass(frozen=True)
class NetworkCost:
    """``macs`` and ``latency_ms`` are for one image; ``file_bytes`` is None without a file."""

    parameters: int
    macs: int
    latency_ms: float
    file_bytes: int | None


def measure_cost(network: Network, file: Path | None = None) -> NetworkCost:
    """All four figures; raises ``UserError`` if ``file`` is given and cannot be read."""
    try:
        file_bytes = file.stat().st_size if file is not None else None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}).") from error
    return NetworkCost(
        parameters=count_parameters(network),
        macs=count_macs(network),
        latency_ms=cpu_latency_ms(network),
        file_bytes=file_bytes,
    )


def count_parameters(module: nn.Module) -> int:
    """Trainable or frozen, each once; buffers such as BatchNorm's statistics are not counted."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(network: Network) -> int:
    """Multiply–accumulates of convolutions, linear layers and attention for one image.

    torch's ``FlopCounterMode`` counts a multiply–accumulate as two operations. Attention is
    counted in its plain form: the fused kernels for the CPU are unknown to the counter.
    """
    counter = FlopCounterMode(display=False)
    with _on_cpu(network) as (model, images), counter, sdpa_kernel(SDPBackend.MATH):
        model(images)
    return counter.get_total_flops() // 2


def cpu_latency_ms(
    network: Network, runs: int = 30, warm_ups: int = 3, budget_seconds: float = 3.0
) -> float:
    """The median time of one image on the CPU in fp32, in milliseconds.

    With one thread, whatever torch is set to (which is restored): on a busy machine the threads of
    one small network wait for each other far longer than they work. At least three runs are timed,
    then as many of ``runs`` as fit into ``budget_seconds``.
    """
    with one_thread(), _on_cpu(network) as (model, images):
        return 1000 * statistics.median(
            time_calls(lambda: model(images), runs, warm_ups, budget_seconds)
        )


def time_calls(
    call: Callable[[], object], runs: int, warm_ups: int = 3, budget_seconds: float = 3.0
) -> list[float]:
    """The seconds of each of ``runs`` calls, at least three, or fewer for ``budget_seconds``."""
    for _ in range(warm_ups):
        call()
    times: list[float] = []
    deadline = time.perf_counter() + budget_seconds
    while len(times) < 3 or (len(times) < runs and time.perf_counter() < deadline):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread; restores its number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _on_cpu(network: Network) -> Iterator[tuple[Network, Tensor]]:
    """A copy of the network on the CPU in fp32 and eval mode, with one grey image."""
    size = network.image_size
    with torch.no_grad():
        yield copy.deepcopy(network).cpu().float().eval(), torch.full((1, 3, size, size), 0.5)
