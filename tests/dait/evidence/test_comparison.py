"""One finished study, as the compare tab and the command line see it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder

KEYS = ["vlm", "intermediate", "independent-s0", "direct-s0", "dait-s0"]


@pytest.fixture(scope="module")
def comparison(tiny_study: Path) -> Comparison:
    return Comparison(StudyFolder(tiny_study))


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_npz(path: Path, **changes: Any) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    kept = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    np.savez(path, **kept)


def recorded(study: Path, run: str) -> dict[str, Any]:
    return json.loads((study / run / "result.json").read_text())


# What is in it


def test_members_classes_and_seeds(comparison: Comparison) -> None:
    assert [member.key for member in comparison.members] == KEYS
    assert [m.role for m in comparison.members] == [*KEYS[:2], "independent", "direct", "dait"]
    assert comparison.members[-1].title == "DAIT"
    assert (len(comparison.classes), comparison.image_size) == (4, 48)
    assert (comparison.seeds, comparison.seed) == ((0, 1), 0)
    assert comparison.recipe.student.name == "resnet10t"
    assert len(comparison.labels) == len(comparison.ids) == 12


def test_figures_and_test_images_need_no_heavy_library(tiny_study: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dait.evidence.comparison import Comparison\n"
        "from dait.runs.folder import StudyFolder\n"
        f"comparison = Comparison(StudyFolder(Path({str(tiny_study)!r})))\n"
        "comparison.table(), comparison.results(), comparison.similarity()\n"
        "comparison.test_image(0), comparison.is_placed()\n"
        "print([name for name in ('torch', 'scipy', 'sklearn', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_seed_has_its_own_runs(tiny_study: Path) -> None:
    other = Comparison(StudyFolder(tiny_study), seed=1)
    assert [member.key for member in other.members][2:] == [
        "independent-s1",
        "direct-s1",
        "dait-s1",
    ]
    with pytest.raises(UserError, match="no run to open with seed 7; it has 0, 1"):
        Comparison(StudyFolder(tiny_study), seed=7)


def test_members_are_those_that_exist(copied: Path) -> None:
    (copied / "dait-s0" / "result.json").unlink()
    (copied / "teacher.npz").unlink()
    members = Comparison(StudyFolder(copied)).members
    assert [member.key for member in members] == ["independent-s0", "direct-s0"]


def test_a_teacher_that_reads_no_text_is_not_called_a_language_model(copied: Path) -> None:
    teacher = json.loads((copied / "study.json").read_text())["teacher"]
    change_json(copied / "study.json", teacher={**teacher, "reads_text": False})
    assert Comparison(StudyFolder(copied)).members[0].title == "Frozen teacher"


@pytest.mark.parametrize("state", ["training", "stopped", "failed"])
def test_an_unfinished_study_is_refused(copied: Path, state: str) -> None:
    StudyFolder(copied).write_status(state=state)
    shown = "lost" if state == "training" else state
    with pytest.raises(UserError, match=f"is {shown}, not finished"):
        Comparison(StudyFolder(copied))


def test_damaged_files_are_named(copied: Path) -> None:
    def refused(pattern: str) -> None:
        with pytest.raises(UserError, match=pattern):
            Comparison(StudyFolder(copied))

    predictions = copied / "direct-s0" / "predictions.npz"
    whole = predictions.read_bytes()
    predictions.write_bytes(whole[: len(whole) // 2])
    refused("direct-s0/predictions.npz is damaged")
    predictions.write_bytes(whole)
    change_npz(predictions, pooled=None)
    refused("has no pooled")
    predictions.write_bytes(whole)
    change_npz(predictions, logits=np.zeros((12, 5), np.float16))
    refused(r"logits \(12, 5\) for 4 classes")
    predictions.write_bytes(whole)
    change_npz(predictions, labels=np.full(12, 4))
    refused("not those of 4 classes")
    predictions.write_bytes(whole)
    change_npz(predictions, ids=np.array([f"other/{i}" for i in range(12)]))
    refused("tested on different images")
    predictions.unlink()
    assert Comparison(StudyFolder(copied)).seed == 1  # the seed that is whole
    with pytest.raises(UserError, match="no run to open with seed 0; it has 1"):
        Comparison(StudyFolder(copied), seed=0)
    (copied / "direct-s1" / "predictions.npz").unlink()
    refused("There is no predictions.npz")
    predictions.write_bytes(whole)
    change_npz(copied / "teacher.npz", embeddings=np.zeros((11, 16), np.float16))
    refused("11 embeddings for 12 images")
    (copied / "direct-s0" / "result.json").write_text('{"arm": "direct"}')
    refused("result.json is damaged")
    (copied / "study.json").write_text('{"runs": []}')
    refused("study.json is damaged")


# Networks


def test_a_row_explains_and_agrees_with_the_predictions_on_disk(
    comparison: Comparison, tiny_study: Path
) -> None:
    with np.load(tiny_study / "dait-s0" / "predictions.npz") as file:
        expected = {"dait-s0": file["logits"], "intermediate": file["intermediate_logits"]}
    for index in (0, 7):
        image, _ = comparison.test_image(index)
        found = comparison.explain(image)
        predicted = comparison.predict(image)
        assert [cell.member.key for cell in found] == KEYS == list(predicted)
        for cell in found:
            assert cell.note == "" and not cell.empty
            assert cell.heat.shape == (48, 48) and cell.heat.min() >= 0
            assert cell.heat.max() == pytest.approx(1)
            assert cell.raw.shape == ((4, 4) if cell.member.key == "vlm" else (6, 6))
            assert cell.target == cell.top[0][0]
            assert [i for i, _ in cell.top] == [i for i, _ in predicted[cell.member.key]]
            assert sum(share for _, share in cell.top) == pytest.approx(1, abs=1e-5)
        for key, logits in expected.items():
            shares = torch.tensor(logits[index]).float().softmax(dim=0)
            for place, share in predicted[key]:
                assert share == pytest.approx(float(shares[place]), abs=0.01)


def test_the_teachers_answer_uses_the_scale_of_the_file(
    comparison: Comparison, copied: Path
) -> None:
    image, _ = comparison.test_image(0)
    with np.load(copied / "teacher.npz") as file:
        logits = file["logit_scale"] * (file["embeddings"][0].astype(float) @ file["prototypes"].T)
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    for index, share in comparison.predict(image)["vlm"]:
        assert share == pytest.approx(shares[index], abs=0.01)
    change_npz(copied / "teacher.npz", logit_scale=np.float32(1e-4))
    flat = Comparison(StudyFolder(copied)).predict(image)["vlm"]
    assert [share for _, share in flat] == pytest.approx([0.25] * 4, abs=1e-3)


def test_target_and_method_are_obeyed_or_refused(comparison: Comparison) -> None:
    image, _ = comparison.test_image(1)
    own = comparison.explain(image)
    asked = comparison.explain(image, "hirescam", target=2)
    assert [cell.target for cell in asked] == [2] * 5
    pairs = [(a, b) for a, b in zip(own, asked, strict=True) if a.target != 2]
    assert pairs and not any(np.array_equal(a.raw, b.raw) for a, b in pairs)
    other = comparison.explain(image, "eigencam")
    assert not any(np.array_equal(a.raw, b.raw) for a, b in zip(own, other, strict=True))
    with pytest.raises(UserError, match="no heatmap method 'saliency'; choose one of gradcam"):
        comparison.explain(image, "saliency")
    for target in (-1, 4):
        with pytest.raises(UserError, match="numbered 0 to 3"):
            comparison.explain(image, target=target)
    with pytest.raises(ValueError, match="use prepare"):
        comparison.explain(np.zeros((50, 48, 3), np.uint8))


def test_threads_see_what_one_alone_sees(tiny_study: Path) -> None:
    fresh = Comparison(StudyFolder(tiny_study))
    images = [fresh.test_image(index)[0] for index in range(4)]
    alone = [Comparison(StudyFolder(tiny_study)).explain(image) for image in images]
    found: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: fresh.explain(images[i])}))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(4):
        for mine, theirs in zip(found[index], alone[index], strict=True):
            np.testing.assert_allclose(mine.raw, theirs.raw, rtol=1e-4, atol=1e-6)


def test_a_network_that_cannot_be_used_says_so_in_its_cell(copied: Path) -> None:
    path = copied / "direct-s0" / "student.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    description = json.loads((copied / "study.json").read_text())
    description["recipe"]["teacher"]["name"] = "openclip-local:/nowhere/at-all"
    (copied / "study.json").write_text(json.dumps(description))
    damaged = Comparison(StudyFolder(copied))
    assert set(damaged.load()) == {"vlm", "direct-s0"}
    image, _ = damaged.test_image(0)
    cells = {cell.member.key: cell for cell in damaged.explain(image)}
    assert "student.safetensors is damaged" in cells["direct-s0"].note
    assert cells["vlm"].empty and cells["vlm"].top == [] and not cells["vlm"].heat.any()
    assert cells["dait-s0"].note == "" and cells["dait-s0"].heat.any()
    assert set(damaged.predict(image)) == {"intermediate", "independent-s0", "dait-s0"}


def test_a_teacher_or_student_that_does_not_fit_is_refused(copied: Path) -> None:
    teacher = json.loads((copied / "study.json").read_text())["teacher"]
    change_json(copied / "study.json", teacher={**teacher, "weights_hash": "of yesterday"})
    student = copied / "dait-s0" / "student.safetensors"
    with safe_open(str(student), framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        (name, text), *_ = file.metadata().items()
    description = json.loads(text)
    description["classes"].reverse()
    save_file(tensors, student, {name: json.dumps(description)})
    failures = Comparison(StudyFolder(copied)).load()
    assert "has changed since this study was trained" in failures["vlm"]
    assert "knows other classes than its study" in failures["dait-s0"]
    assert set(failures) == {"vlm", "dait-s0"}


def test_any_picture_is_prepared(comparison: Comparison) -> None:
    wide = Image.new("RGB", (200, 100), "blue")
    wide.paste("red", (50, 0, 150, 100))
    for picture in (wide, np.asarray(wide), wide.convert("RGBA")):
        square = comparison.prepare(picture)
        assert square.shape == (48, 48, 3) and square.dtype == np.uint8
        assert (square[24, 24] == (255, 0, 0)).all() and (square[2, 2] == (255, 0, 0)).all()
    assert wide.size == (200, 100)
    assert comparison.prepare(np.full((5, 9), 7, np.uint8)).tolist() == [[[7] * 3] * 48] * 48
    with pytest.raises(ValueError, match="uint8"):
        comparison.prepare(np.zeros((5, 5, 3)))
    with pytest.raises(UserError, match="at most 64"):
        comparison.prepare(Image.new("1", (10_000, 7_000)))


def test_classes_are_found_by_key_name_or_number(comparison: Comparison) -> None:
    info = comparison.classes[2]
    for text in (info.key, info.name, info.name.upper(), "2"):
        assert comparison.class_index(text) == 2
    with pytest.raises(UserError, match=f"Did you mean .*{info.name}"):
        comparison.class_index(info.name + "s")
    with pytest.raises(UserError, match="number from 0"):
        comparison.class_index("4")


# Test images


def test_a_test_image_is_drawn_as_in_the_split(comparison: Comparison) -> None:
    test = open_dataset(**comparison.recipe.data.model_dump()).split("test")
    for index in (0, 5, 11):
        image, label = comparison.test_image(index)
        np.testing.assert_array_equal(image, test.images[index])
        assert label == test.labels[index]
    for index in (-1, 12):
        with pytest.raises(UserError, match="numbered 0 to 11"):
            comparison.test_image(index)


def test_a_photograph_is_decoded_singly_or_missed(copied: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    ids = np.array([f"test/{index % 4}/{index:02d}.png" for index in range(12)])
    for index, name in enumerate(ids):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 60), (index * 20, 0, 0)).save(photos / name)
    description = json.loads((copied / "study.json").read_text())
    description["recipe"]["data"]["source"] = str(photos)
    (copied / "study.json").write_text(json.dumps(description))
    for run in ("independent", "direct", "dait"):
        change_npz(copied / f"{run}-s0" / "predictions.npz", ids=ids)
    comparison = Comparison(StudyFolder(copied))
    image, label = comparison.test_image(5)
    assert image.shape == (48, 48, 3) and (image == (100, 0, 0)).all() and label == 1
    shutil.rmtree(photos)
    with pytest.raises(UserError, match="is not there now"):
        comparison.test_image(5)
    assert len(comparison.table()) == len(comparison.explain(image)) == 5
    assert comparison.tsne().labels.shape == (12,)


def test_ids_cannot_lead_out_of_the_photographs(copied: Path, tmp_path: Path) -> None:
    Image.new("RGB", (60, 60)).save(tmp_path / "secret.png")
    (tmp_path / "photos").mkdir()
    description = json.loads((copied / "study.json").read_text())
    description["recipe"]["data"]["source"] = str(tmp_path / "photos")
    (copied / "study.json").write_text(json.dumps(description))
    for run in ("independent", "direct", "dait"):
        ids = np.array(["../secret.png"] * 12)
        change_npz(copied / f"{run}-s0" / "predictions.npz", ids=ids)
    with pytest.raises(UserError, match="not there now"):
        Comparison(StudyFolder(copied)).test_image(0)


def test_the_gallery_is_spread_over_the_classes(comparison: Comparison) -> None:
    assert [len(comparison.gallery(count)) for count in (0, 2, 4, 7, 99)] == [0, 2, 4, 7, 12]
    assert sorted(comparison.labels[comparison.gallery(4)]) == [0, 1, 2, 3]
    assert np.bincount(comparison.labels[comparison.gallery(8)]).tolist() == [2, 2, 2, 2]
    assert len(set(comparison.labels[comparison.gallery(2)])) == 2


# ProbeSection


def test_the_table_takes_means_over_seeds(comparison: Comparison, tiny_study: Path) -> None:
    rows = {row["key"]: row for row in comparison.table()}
    assert list(rows) == KEYS
    for arm in ("independent", "direct", "dait"):
        both = [recorded(tiny_study, f"{arm}-s{seed}") for seed in (0, 1)]
        tops, row = [result["top1"] for result in both], rows[f"{arm}-s0"]
        assert row["seeds"] == 2 and row["top1"] == pytest.approx(np.mean(tops))
        assert row["sd"] == pytest.approx(np.std(tops, ddof=1))
        assert row["top1_of_seed"] == tops[0] and row["interval"] == both[0]["top1_interval"]
        assert row["file_bytes"] == both[0]["file_bytes"] and row["map"] == [8, 6, 6]
        for name in ("top5", "mean_per_class"):
            assert row[name] == pytest.approx(np.mean([result[name] for result in both]))
    direct, dait = rows["direct-s0"], rows["dait-s0"]
    assert dait["gain"] == pytest.approx(dait["top1"] - direct["top1"])
    assert direct["gain"] is None and direct["mcnemar_p"] is None
    intermediate = recorded(tiny_study, "dait-s0")["intermediate"]
    assert rows["intermediate"]["top1_of_seed"] == intermediate["top1"]
    assert rows["intermediate"]["parameters"] == intermediate["parameters"]
    teacher = json.loads((tiny_study / "study.json").read_text())["teacher"]
    assert rows["vlm"]["top1"] == teacher["zero_shot_top1"] and rows["vlm"]["sd"] is None


def test_latency_is_the_least_of_all_runs_of_an_architecture(copied: Path) -> None:
    """It is one network, and a machine's other work only makes it slower."""
    runs = sorted(copied.glob("*-s?"))
    for run in runs:
        result = json.loads((run / "result.json").read_text())
        slow: dict[str, Any] = {"latency_ms": 9.0}
        if result.get("intermediate"):
            slow["intermediate"] = {**result["intermediate"], "latency_ms": 9.0}
        if result.get("between"):
            between = result["between"].items()
            slow["between"] = {role: {**found, "latency_ms": 9.0} for role, found in between}
        change_json(run / "result.json", **slow)
    change_json(runs[-1] / "result.json", latency_ms=2.0)
    for seed in (0, 1):
        rows = Comparison(StudyFolder(copied), seed).table()
        students = [row for row in rows if row["role"] not in ("vlm", "intermediate")]
        assert {row["latency_ms"] for row in students} == {2.0}


def test_mcnemar_counts_the_images_that_one_network_alone_got_right(copied: Path) -> None:
    labels = np.arange(12) % 4
    for run, right in (("direct-s0", 2), ("dait-s0", 10)):
        answers = np.where(np.arange(12) < right, labels, (labels + 1) % 4)
        logits = np.eye(4, dtype=np.float16)[answers]
        change_npz(copied / run / "predictions.npz", logits=logits)
    rows = {row["key"]: row for row in Comparison(StudyFolder(copied)).table()}
    # Eight images that DAIT alone got right, none the other way: 2 · (1/2)^8.
    assert rows["dait-s0"]["mcnemar_p"] == pytest.approx(2 / 2**8)
    tests = rows["dait-s0"]["mcnemar_ps"]
    assert tests["0"] == rows["dait-s0"]["mcnemar_p"] and set(tests) == {"0", "1"}
    (copied / "direct-s1" / "predictions.npz").unlink()
    rows = {row["key"]: row for row in Comparison(StudyFolder(copied)).table()}
    assert set(rows["dait-s0"]["mcnemar_ps"]) == set(rows["intermediate"]["mcnemar_ps"]) == {"0"}


def test_one_seed_has_no_deviation_and_no_direct_no_gain(copied: Path) -> None:
    for seed in (0, 1):
        (copied / f"direct-s{seed}" / "result.json").unlink()
    (copied / "dait-s1" / "result.json").unlink()
    rows = {row["key"]: row for row in Comparison(StudyFolder(copied)).table()}
    assert rows["dait-s0"]["sd"] is None and rows["dait-s0"]["seeds"] == 1
    assert rows["independent-s0"]["seeds"] == 2
    assert all(row["gain"] is None and row["mcnemar_p"] is None for row in rows.values())


def test_similarity_and_representation(comparison: Comparison) -> None:
    similarity = comparison.similarity()
    assert list(similarity) == KEYS
    for matrix in similarity.values():
        assert matrix.shape == (4, 4)
        np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-5)
    rows = {row["key"]: row for row in comparison.representation()}
    assert list(rows) == KEYS
    assert rows["vlm"]["cka_vlm"] == pytest.approx(1)
    assert rows["intermediate"]["cka_intermediate"] == pytest.approx(1)
    assert rows["dait-s0"]["cka_vlm"] < 1
    assert rows["dait-s0"]["gap"] == rows["dait-s0"]["intra"] - rows["dait-s0"]["inter"]
    json.dumps(list(rows.values()), allow_nan=False)
