"""The curated list and the search."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dait.models.catalogue import (
    CURATED,
    CURATED_NAMES,
    all_names,
    search_networks,
    torchvision_names,
    what_for,
)


def test_every_curated_name_exists_once() -> None:
    import timm

    known = {*timm.list_models(), *torchvision_names()}
    assert [entry.name for entry in CURATED if entry.name not in known] == []
    assert len(CURATED_NAMES) == len(CURATED)
    assert [entry.name for entry in CURATED if entry.group == "paper"] == [
        "resnet18",
        "mobilenetv2_100",
        "torchvision:shufflenet_v2_x1_0",
        "efficientnet_b0",
    ]


def test_the_list_is_there_without_timm_or_torch() -> None:
    code = (
        "import sys, dait.models.catalogue, dait.models.spec as s; s.NetworkSpec(name='fastvit_t8')"
        "; print(sorted({'timm', 'torch', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("resnet18", "resnet18"),
        ("  Small mobilenetV4 ", "mobilenetv4_conv_small"),
        ("shufflenet", "torchvision:shufflenet_v2_x1_0"),
    ],
)
def test_search_finds_all_words_and_curated_names_first(text: str, first: str) -> None:
    found = search_networks(text)
    assert found[0] == first
    assert all(word in name for name in found for word in text.lower().split())
    curated = [name in CURATED_NAMES for name in found[1:]]
    assert curated == sorted(curated, reverse=True)


def test_search_for_nothing_finds_everything_once() -> None:
    names = all_names()
    assert len(names) == len(set(names)) > 1000
    assert names[: len(CURATED)] == [entry.name for entry in CURATED]
    assert set(search_networks("")) == set(names)
    assert search_networks("no such network") == []
    assert not any(name.startswith("torchvision:vit") for name in names)


def test_what_a_network_is_for() -> None:
    assert "paper" in what_for("resnet18")
    assert what_for("resnet50") == ""
