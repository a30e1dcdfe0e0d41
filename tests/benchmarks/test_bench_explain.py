"""``bench explain``: real networks, real figures."""

from __future__ import annotations

import json

import pytest

from dait.cli import main


@pytest.mark.slow
def test_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "explain", "--rounds", "1", "--images", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["ratio"] > 0 and found["ratio_cpu"] > 0
    assert found["batched"] > 0 and found["one_by_one"] > 0
    assert (found["size"], len(found["networks"]), found["images"]) == (224, 5, 3)
    assert main(["bench", "explain", "--rounds", "0"]) == 2
    assert "--rounds is a number from 1" in capsys.readouterr().err
