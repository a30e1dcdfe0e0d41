"""Checkpoints that survive whatever ends the process, and are not taken for another's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from colours import Colours, network

from dait.config.arms import KdConfig
from dait.config.train import TrainConfig
from dait.errors import UserError
from dait.events import Event, Note, ignore
from dait.tasks.independent import IndependentTask
from dait.tasks.logits import LogitTask
from dait.training import checkpoint
from dait.training.checkpoint import StepCheckpoints, check_fingerprint, fingerprint
from dait.training.views import StagePosition

PROJECT = str(Path(checkpoint.__file__).parents[2])


def state(number: int) -> dict[str, object]:
    return {"number": number, "weights": torch.full((50,), float(number)), "name": ["a", {"b": 1}]}


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    keep = StepCheckpoints(tmp_path / "deep" / "steps.pt")
    assert keep.load(ignore) is None
    layout = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last)
    keep.save({**state(1), "layout": layout})
    found = StepCheckpoints(keep.path).load(ignore)
    assert found is not None and found["number"] == 1 and found["name"] == ["a", {"b": 1}]
    assert torch.equal(found["weights"], torch.ones(50))
    assert found["layout"].stride() == layout.stride()
    keep.discard()
    assert keep.load(ignore) is None and list(keep.path.parent.iterdir()) == []
    keep.discard()


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "foreign"])
def test_a_damaged_file_gives_way_to_the_one_before(tmp_path: Path, damage: str) -> None:
    keep = StepCheckpoints(tmp_path / "steps.pt")
    keep.save(state(1))
    keep.save(state(2))
    content = bytearray(keep.path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    damaged = {"cut": content[:-9], "emptied": b"", "foreign": b"PK" + content}
    keep.path.write_bytes(damaged.get(damage, content))
    events: list[Event] = []
    found = keep.load(events.append)
    assert found is not None and found["number"] == 1
    (note,) = events
    assert isinstance(note, Note) and "steps.pt is damaged and not used" in note.text
    kept = tmp_path / "steps.pt.unreadable"
    assert kept.name in note.text and kept.read_bytes() == bytes(damaged.get(damage, content))
    keep.save(state(3))  # the damaged one must not have taken the place of the good one
    keep.path.write_bytes(b"")
    again = keep.load(ignore)
    assert again is not None and again["number"] == 1
    keep.previous.write_bytes(b"")
    assert keep.load(ignore) is None


def test_another_versions_checkpoint_is_named_and_kept(tmp_path: Path) -> None:
    keep = StepCheckpoints(tmp_path / "steps.pt")
    keep.save(state(1))
    keep.save(state(2))
    newer = keep.path.read_bytes().replace(b"checkpoint-1\n", b"checkpoint-2\n", 1)
    keep.path.write_bytes(newer)
    with pytest.raises(UserError, match=r"version 2 .* reads version 1.*wrote it, or move"):
        StepCheckpoints(keep.path).load(ignore)
    assert keep.path.read_bytes() == newer and keep.previous.exists()
    assert {file.name for file in tmp_path.iterdir()} == {"steps.pt", "steps.pt.previous"}


def test_when_one_is_due(tmp_path: Path) -> None:
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=3)
    assert [step for step in range(1, 10) if keep.is_due(step)] == [3, 6, 9]
    assert not StepCheckpoints(tmp_path / "steps.pt").is_due(100)
    always = StepCheckpoints(tmp_path / "steps.pt", seconds_between=0)
    assert always.is_due(1) and always.is_cheap()


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    keep = StepCheckpoints(tmp_path / "steps.pt")
    keep.save({"trap": Trap()})
    with pytest.raises(Exception, match=r"[Ww]eights"):
        keep.load(ignore)
    assert not (tmp_path / "sprung").exists()


WRITER = """
import os, random, signal, sys, time
import torch
from dait.training.checkpoint import StepCheckpoints

def write(path, told):
    keep = StepCheckpoints(path)
    kept = keep.load(print)
    number = kept["number"] if kept else 0
    while True:
        number += 1
        keep.save({"number": number, "weights": torch.full((300_000,), float(number))})
        os.write(told, b"%d " % number)

rng, last = random.Random(0), 0
for _ in range(12):
    read, told = os.pipe()
    child = os.fork()
    if not child:
        write(sys.argv[1], told)
    time.sleep(rng.uniform(0.0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(told)
    last = int((str(last).encode() + b" " + os.read(read, 1 << 20)).split()[-1])
    found = StepCheckpoints(sys.argv[1]).load(print)
    number = found["number"] if found else 0
    whole = number == 0 or bool((found["weights"] == number).all())
    print(number - last, whole)
print(last)
"""


@pytest.mark.slow
def test_killed_while_it_writes_it_keeps_what_it_said(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    result = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path / "steps.pt")],
        env=os.environ | {"PYTHONPATH": PROJECT, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    *rows, last = result.stdout.splitlines()
    # No note of a damaged file, and never less than was said; one more may have been whole.
    assert len(rows) == 12 and set(rows) <= {"0 True", "1 True"} and int(last) > 0
    assert not list(tmp_path.glob(".*"))  # what the kills left half written


FULL = """
import sys
from pathlib import Path
import torch
from dait.errors import UserError
from dait.training.checkpoint import StepCheckpoints
keep = StepCheckpoints(Path(sys.argv[1]) / "steps.pt")
for number in range(1, 4):
    keep.save({"number": number, "weights": torch.zeros(250_000)})
try:
    keep.save({"number": 4, "weights": torch.zeros(1_500_000)})
except UserError as error:
    print(error)
print(keep.load(print)["number"], sorted(file.name for file in Path(sys.argv[1]).iterdir()))
"""


@pytest.mark.slow
def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """A disk of 6 MiB, mounted where this process alone sees it: where users may do that."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    script = 'mount -t tmpfs -o size=6m none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        [*mount, script, "sh", str(tmp_path), sys.executable, FULL],
        env=os.environ | {"PYTHONPATH": PROJECT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if result.returncode in (1, 77) and "Traceback" not in result.stderr:
        pytest.skip(f"no disk of one's own here: {result.stderr.strip()}")
    sentence, last = result.stdout.splitlines()
    assert "Could not write" in sentence and "Free some disk space" in sentence
    assert last == "3 ['steps.pt', 'steps.pt.previous']"


def test_another_training_is_refused_by_what_differs(tmp_path: Path) -> None:
    task, data, stage = (
        IndependentTask(network(), "full"),
        Colours(),
        StagePosition(0, 1, 2, seed=0),
    )
    config = TrainConfig()
    wanted = fingerprint(task, data, config, stage)
    check_fingerprint(tmp_path, wanted, fingerprint(task, data, config, stage))
    others = {
        r"train learning_rate is 0.001 and was 0.002": fingerprint(
            task, data, config.model_copy(update={"learning_rate": 0.001}), stage
        ),
        r"stage seed is 1 and was 0": fingerprint(
            task, data, config, StagePosition(0, 1, 2, seed=1)
        ),
        r"data fingerprint is 'colours-2'": fingerprint(
            task, Colours(fingerprint="colours-2"), config, stage
        ),
        r"task views is 'light' and was 'full'": fingerprint(
            IndependentTask(network(), "light"), data, config, stage
        ),
        r"parameters network.model.* and \d+ more\. Resume with": fingerprint(
            IndependentTask(network(width=16), "full"), data, config, stage
        ),
    }
    for words, other in others.items():
        with pytest.raises(UserError, match=words):
            check_fingerprint(tmp_path, wanted, other)


def test_a_setting_that_an_older_version_lacked_had_its_default(tmp_path: Path) -> None:
    task, data, stage = (
        IndependentTask(network(), "full"),
        Colours(),
        StagePosition(0, 1, 2, seed=0),
    )
    older = fingerprint(task, data, TrainConfig(), stage)
    del older["train"]["backbone_lr_scale"]
    check_fingerprint(tmp_path, older, fingerprint(task, data, TrainConfig(), stage))
    slower = fingerprint(task, data, TrainConfig(backbone_lr_scale=0.5), stage)
    with pytest.raises(UserError, match=r"train backbone_lr_scale is 0\.5 and was 1\.0"):
        check_fingerprint(tmp_path, older, slower)
    taught = {
        head: LogitTask(network(), "full", network(), KdConfig(head=head))
        for head in ("own", "both")
    }
    older, own, both = (
        fingerprint(taught[head], data, TrainConfig(), stage) for head in ("own", "own", "both")
    )
    del older["losses"]["head"]
    check_fingerprint(tmp_path, older, own)
    with pytest.raises(UserError, match="losses head is 'both' and was 'own'"):
        check_fingerprint(tmp_path, older, both)
