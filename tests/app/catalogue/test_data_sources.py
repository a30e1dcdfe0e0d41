"""What can be chosen, and that nothing else can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.catalogue.sources import FIELD_GUIDE, Sources
from app.config import AppConfig, read_config
from dait.errors import UserError


def values(sources: Sources, also: object = None) -> list[str]:
    return [value for _, value in sources.choices(also)]


def test_every_choice_can_be_resolved(empty_config: AppConfig, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"x")
    config = replace(empty_config, data={"fruit": tmp_path}, paths=True)
    sources = Sources(config)
    name = sources.uploads.keep(tmp_path / "archive", "mine.zip")
    found = {value: sources.resolve(value) for value in values(sources)}
    assert values(sources)[0] == FIELD_GUIDE
    assert found["folder:fruit"] == str(tmp_path)
    assert found[f"upload:{name}"] == str(config.uploads / "mine.zip")
    assert found["cub-200-2011"] == "cub-200-2011"
    assert "fgvc-aircraft:family" in found and "fgvc-aircraft" not in found


def test_strangers_choose_from_the_list_alone(empty_config: AppConfig, tmp_path: Path) -> None:
    sources = Sources(empty_config)
    assert values(sources) == [FIELD_GUIDE]  # nothing that would have to be downloaded
    hostile: list[object] = [f"path:{tmp_path}", str(tmp_path), "hf:owner/name", "cub-200-2011"]
    hostile += ["folder:../secret", "upload:../../x.zip", "", None, 7, "x" * 9999]
    for value in hostile:
        with pytest.raises(UserError):
            sources.resolve(value)
        assert values(sources, value) == [FIELD_GUIDE]
    with pytest.raises(UserError, match="from the list"):
        sources.named(str(tmp_path))


def test_the_user_of_the_machine_may_name_a_path(empty_config: AppConfig, tmp_path: Path) -> None:
    sources = Sources(replace(empty_config, paths=True))
    value = sources.named(f"  {tmp_path} ")
    assert sources.resolve(value) == str(tmp_path)
    assert (str(tmp_path), value) in sources.choices(value)
    assert sources.resolve(sources.named("hf:owner/name")) == "hf:owner/name"
    for wrong in (str(tmp_path / "nothing"), "bad\0name", "/" + "x" * 3000):
        with pytest.raises(UserError, match="nothing at"):
            sources.named(wrong)
    with pytest.raises(UserError, match="Type the path"):
        sources.named(" ")


@pytest.mark.parametrize(
    ("environment", "paths"),
    [
        ({}, True),
        ({"GRADIO_SERVER_NAME": "localhost"}, True),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        ({"SPACE_ID": "someone/studio"}, False),
        ({"SPACE_ID": "someone/studio", "GRADIO_SERVER_NAME": "127.0.0.1"}, False),
    ],
)
def test_paths_are_for_who_alone_can_open_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], paths: bool
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path))
    assert read_config(environment).paths is paths


def test_a_card_counts_the_classes_of_its_own_way(empty_config: AppConfig) -> None:
    sources = Sources(replace(empty_config, paths=True))
    first, other = (sources.card(f"fgvc-aircraft:{way}") for way in ("variant", "family"))
    assert first is not None and first.classes == 100
    assert other is not None and other.classes is None
    assert sources.title("fgvc-aircraft:family") == "FGVC-Aircraft, by family"
    assert sources.title("nothing") is None
