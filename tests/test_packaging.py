"""What is in the wheel, and that what is installed needs no clone around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dait

PROJECT = Path(__file__).resolve().parents[1]
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "requirements.txt")
FOLDERS = ("dait", "app", "assets", "requirements")
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network and unpacked."""
    root = tmp_path_factory.mktemp("wheel")
    source = root / "source"
    for folder in FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / folder, source / folder, ignore=unwanted)
    for file in FILES:
        shutil.copy(PROJECT / file, source / file)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(root)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = root.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(root / "site")
    return root / "site"


def test_everything_that_is_needed_is_in_the_wheel(installed: Path) -> None:
    wanted = {
        path.relative_to(PROJECT)
        for package in ("dait", "app")
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for part in (
        "fieldguide-clip",
        "fieldguide-clip-generalist",
        "backbones",
        "regimes",
        "runs/demo",
    ):
        folder = PROJECT / "assets" / part
        wanted |= {
            "dait" / path.relative_to(PROJECT) for path in folder.rglob("*") if path.is_file()
        }
    assert not [path for path in sorted(wanted) if not (installed / path).is_file()]
    tops = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert tops == {"dait", "app"}


def test_the_metadata_say_what_the_requirements_say(installed: Path) -> None:
    (info,) = installed.glob("*.dist-info")
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert f"Version: {dait.__version__}" in metadata
    text = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
    names = {line.split(">=")[0] for line in text.splitlines() if line and line[0] != "#"}
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert names == {
        line.split()[1].split("<")[0].split(">")[0] for line in required if "extra ==" not in line
    }
    extras = {path.stem for path in (PROJECT / "requirements").glob("*.txt")}
    provided = [line for line in metadata.splitlines() if line.startswith("Provides-Extra: ")]
    assert {line.split()[1] for line in provided} == extras
    assert "dait = dait.__main__:run" in (info / "entry_points.txt").read_text(encoding="utf-8")


def test_it_works_from_another_folder_and_writes_there(installed: Path, tmp_path: Path) -> None:
    code = (
        "from dait.storage.paths import ASSETS, make_absolute, runs_folder\n"
        "from dait.models.spec import BACKBONES\n"
        "from dait.config.recipe import load_recipe\n"
        "make_absolute()\n"
        "print(runs_folder(), (ASSETS / 'runs/demo/study.json').is_file(), BACKBONES.is_dir())\n"
        "print(load_recipe('few-shot').student.weights)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DAIT_RUNS"}
    environment["PYTHONPATH"] = str(installed)
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == f"{tmp_path / 'runs'} True True"
    assert second


def test_what_is_not_installed_is_said(installed: Path, tmp_path: Path) -> None:
    for words in (["bench", "demo"], ["backbone", "--help"], ["teacher", "pretrain"]):
        done = subprocess.run(
            [sys.executable, "-m", "dait", *words],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 2
        assert "of the project's sources, which is not installed" in done.stderr
