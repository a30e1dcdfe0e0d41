"""A study of arms that have teachers of their own, in the comparison and its table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dait.evaluation.networks import stored_networks
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def six(copied: Path) -> Path:
    """The tiny study with three more arms, copies of its independent student."""
    rows = json.loads((copied / "study.json").read_text())["runs"]
    for seed in (0, 1):
        for arm, role in (("takd", "assistant"), ("kd", "classifier"), ("vl2lite", None)):
            run = copied / f"{arm}-s{seed}"
            shutil.copytree(copied / f"independent-s{seed}", run)
            own = json.loads((run / "result.json").read_text())
            teacher = {**own, "top1": 0.25 * (seed + 1), "parameters": 77, "title": role}
            between = {role: teacher} if role else {}
            change_json(run / "result.json", arm=arm, between=between)
            rows.append({"arm": arm, "seed": seed, "dir": run.name})
    change_json(copied / "study.json", runs=rows)
    return copied


def test_students_stand_in_the_arms_order_and_their_teachers_are_no_members(six: Path) -> None:
    members = Comparison(StudyFolder(six)).members
    arms = ["independent", "direct", "vl2lite", "kd", "takd", "dait"]
    assert [member.role for member in members] == ["vlm", "intermediate", *arms]
    assert [member.key for member in members[2:]] == [f"{arm}-s0" for arm in arms]


def test_the_table_lists_what_taught_a_student_before_it(six: Path) -> None:
    rows = {row["key"]: row for row in Comparison(StudyFolder(six)).table()}
    assert list(rows)[-6:] == [
        *("vl2lite-s0", "kd-s0/classifier", "kd-s0", "takd-s0/assistant", "takd-s0", "dait-s0")
    ]
    row, direct = rows["kd-s0/classifier"], rows["direct-s0"]
    assert (row["role"], row["title"]) == ("classifier", "Teaching classifier")
    assert (row["top1"], row["top1_of_seed"], row["seeds"]) == (0.375, 0.25, 2)
    assert row["gain"] == pytest.approx(0.375 - direct["top1"])
    assert row["parameters"] == 77 and row["mcnemar_p"] is None
    assert rows["kd-s0"]["top1"] == rows["independent-s0"]["top1"]
    assert rows["kd-s0"]["mcnemar_p"] == rows["independent-s0"]["mcnemar_p"]


def test_a_teacher_that_only_one_seed_has_is_of_one_seed(six: Path) -> None:
    change_json(six / "kd-s1" / "result.json", between={})
    rows = {row["key"]: row for row in Comparison(StudyFolder(six)).table()}
    assert (rows["kd-s0/classifier"]["seeds"], rows["kd-s0/classifier"]["sd"]) == (1, None)
    assert rows["kd-s0"]["seeds"] == 2
    other = {row["key"] for row in Comparison(StudyFolder(six), seed=1).table()}
    assert "kd-s1" in other and "kd-s1/classifier" not in other


def test_what_taught_in_one_arm_alone_is_asked_where_it_looks_too(six: Path) -> None:
    for seed in (0, 1):
        for arm, role in (("takd", "assistant"), ("kd", "classifier")):
            run = six / f"{arm}-s{seed}"
            shutil.copy(run / "student.safetensors", run / f"{role}.safetensors")
    subjects = {subject.member.key: subject for subject in stored_networks(six).networks}
    for seed in (0, 1):
        for role in ("assistant", "classifier"):
            found = subjects[f"{role}-s{seed}"]
            assert (found.member.role, found.seed) == (role, seed)
    assert len(subjects) == 1 + 2 * (6 + 3)  # the frozen teacher; students, and who taught them
    alone = stored_networks(six / "takd-s0").networks
    assert [subject.member.key for subject in alone] == ["assistant-s0", "takd-s0"]
