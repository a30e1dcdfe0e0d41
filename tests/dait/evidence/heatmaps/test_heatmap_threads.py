"""Heatmaps of several threads at once: each gets its own."""

from __future__ import annotations

import threading

import pytest
import torch
from explainable_networks import SIZE, Output, TinyNetwork
from torch import Tensor

from dait.evidence.heatmaps.cam import explain


@pytest.fixture
def network() -> TinyNetwork:
    torch.manual_seed(0)
    return TinyNetwork().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_threads_on_one_network_do_not_mix(network: TinyNetwork) -> None:
    generator = torch.Generator().manual_seed(2)
    batches = [torch.rand(2, 3, SIZE, SIZE, generator=generator) for _ in range(24)]
    expected = [explain(network, batch).raw for batch in batches]
    found: dict[int, Tensor] = {}

    def work(start: int) -> None:
        for index in range(start, len(batches), 4):
            found[index] = explain(network, batches[index]).raw

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(batches)
    for index, raw in enumerate(expected):
        torch.testing.assert_close(found[index], raw)


class Gated(TinyNetwork):
    """Holds the thread named "first" at the start of its forward pass until it may go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()
        self.others = 0

    def forward(self, images: Tensor) -> Output:
        if threading.current_thread().name == "first":
            self.entered.set()
            assert self.go.wait(20)
        else:
            self.others += 1
        return super().forward(images)


def test_a_prediction_meanwhile_disturbs_nobody(images: Tensor) -> None:
    torch.manual_seed(0)
    network = Gated().eval()
    expected, logits = explain(network, images), network(images).logits
    found: list[Tensor] = []
    first = threading.Thread(
        name="first", target=lambda: found.append(explain(network, images).raw)
    )
    first.start()
    assert network.entered.wait(20)
    meanwhile = network(images).logits
    network.go.set()
    first.join()
    torch.testing.assert_close(meanwhile, logits)
    assert meanwhile.grad_fn is not None
    torch.testing.assert_close(found[0], expected.raw)


def test_a_second_explanation_waits_for_the_first(images: Tensor) -> None:
    torch.manual_seed(0)
    network = Gated().train()  # whoever comes second must not record the first one's eval mode
    done: list[str] = []

    def work() -> None:
        explain(network, images)
        done.append(threading.current_thread().name)

    first = threading.Thread(name="first", target=work)
    second = threading.Thread(name="second", target=work)
    first.start()
    assert network.entered.wait(20)
    second.start()
    second.join(timeout=0.3)
    assert second.is_alive() and network.others == 0
    network.go.set()
    first.join()
    second.join()
    assert sorted(done) == ["first", "second"]
    assert network.training and network.features.training
