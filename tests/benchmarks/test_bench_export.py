"""``python -m dait bench export`` on one small network, and on one that cannot be built."""

from __future__ import annotations

import pytest

from benchmarks.export import export_networks


@pytest.mark.slow
def test_a_network_is_compared_and_a_refused_one_is_named() -> None:
    exported, refused = export_networks(["mobilenetv3_small_050", "no_such"], 64)
    assert exported["same"] == 1 and exported["difference"] < 1e-3 and not exported["head"]
    assert refused["network"] == "no_such" and "no network" in refused["problem"]
