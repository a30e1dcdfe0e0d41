"""The demo teacher's training, four steps of it, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dait.data.fieldguide import FieldGuideOptions, open_fieldguide, record
from dait.data.fieldguide.captions import OPENINGS
from dait.data.fieldguide.world import load_world
from dait.errors import UserError
from dait.events import Event, Note, Progress, ignore
from dait.teachers.base import text_prototypes
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer
from dait.teachers.openclip.demo import load_bundled, load_folder
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.weights import BUNDLED
from pretraining.recipe import PretrainRecipe, load_pretrain_recipe
from pretraining.teacher import Pairs, pretrain, vocabulary_rows

ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {
        "timm_model_name": "fieldguide_vit16",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
        "image_size": 96,
    },
    "text_cfg": {"context_length": 56, "vocab_size": 0, "width": 16, "heads": 2, "layers": 1},
}
TINY = PretrainRecipe(
    architecture=ARCHITECTURE,
    steps=4,
    pool=64,
    family=4,
    batch_size=16,
    warmup_steps=2,
    evaluate_every=2,
)


def stop_at_3(event: Event) -> None:
    if isinstance(event, Progress) and event.unit == "steps" and event.done == 3:
        raise KeyboardInterrupt


@pytest.fixture(scope="module", autouse=True)
def few_validation_images() -> Iterator[None]:
    """One of each species: each zero-shot figure would take seconds of the image tower."""
    few = partial(open_fieldguide, val_per_class=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pretraining.teacher.open_fieldguide", few)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    pretrain(TINY, folder, ignore, keep_every=2)
    return folder


@pytest.fixture(scope="module")
def teacher(trained: Path) -> OpenClipTeacher:
    return load_folder(trained, "trained")


def test_what_it_writes(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    # The state for going on is gone once the training is over.
    assert names == {
        "open_clip_config.json", "model.safetensors", "vocabulary.json", "training.jsonl", "step-2",
    }  # fmt: skip
    # The model of the way is a model of its own, and another one.
    way = {path.name: path.read_bytes() for path in (trained / "step-2").iterdir()}
    assert way.keys() == names - {"training.jsonl", "step-2"}
    assert way["model.safetensors"] != (trained / "model.safetensors").read_bytes()
    assert load_folder(trained / "step-2", "way").reads_text
    weights = load_file(trained / "model.safetensors")
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float16}
    rows = [json.loads(line) for line in (trained / "training.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        assert 0 <= row["val_zero_shot_top1"] <= row["val_zero_shot_top5"] <= 1
        assert row["pairs"] == 16 * row["step"] and row["loss"] > 0


def test_it_loads_as_a_teacher(teacher: OpenClipTeacher, trained: Path) -> None:
    assert teacher.name == "trained" and teacher.reads_text
    assert (teacher.image_size, teacher.dim) == (96, 16)
    assert len(teacher.weights_hash) == 64
    assert not teacher.model.training
    assert not any(p.requires_grad or p.dtype != torch.float32 for p in teacher.parameters())
    images = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(teacher.embed(images).norm(dim=1), torch.ones(2))
    texts = teacher.embed_text(["a red bird", "a blue bird"])
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(2))
    # Means and deviations are OpenCLIP's own in the file, not the ImageNet numbers.
    assert teacher.mean == (0.5, 0.5, 0.5) and teacher.std == (0.25, 0.25, 0.25)


def test_its_tokens_have_a_grid(teacher: OpenClipTeacher) -> None:
    tokens: list[torch.Tensor] = []
    handle = teacher.heatmap_layer().register_forward_hook(lambda m, a, out: tokens.append(out))
    try:
        teacher.embed(torch.rand(1, 3, 96, 96))
    finally:
        handle.remove()
    grid = teacher.heatmap_grid()
    assert grid == (6, 6, 0) and tokens[0].shape[1] == 6 * 6


@pytest.mark.slow
def test_an_interrupted_training_goes_on_where_it_was(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(TINY, tmp_path, stop_at_3)
    assert not (tmp_path / "model.safetensors").exists()
    notes: list[Event] = []
    pretrain(TINY, tmp_path, notes.append)
    assert any(isinstance(note, Note) and "resumed after step 2" in note.text for note in notes)
    straight, resumed = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path))
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)


@pytest.mark.slow
def test_another_recipe_does_not_go_on_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(TINY, tmp_path, stop_at_3)
    with pytest.raises(UserError, match="another training"):
        pretrain(replace(TINY, learning_rate=0.5), tmp_path, ignore)


@pytest.fixture(scope="module")
def pool() -> Iterator[dict[str, np.ndarray]]:
    yield TINY.birds.draw(ignore)


def test_the_pool_holds_invented_families_but_none_of_the_forty(
    pool: dict[str, np.ndarray],
) -> None:
    world = load_world()
    assert pool["images"].shape == (64, 96, 96, 3) and len(set(pool["habitats"].tolist())) == 6
    values = [attribute.values for attribute in world.attributes.values()]
    tables = [
        dict(zip(world.attributes, (v[i] for v, i in zip(values, row, strict=True)), strict=True))
        for row in pool["tables"]
    ]
    held_out = [bird.attributes for bird in world.species]
    assert not any(table in held_out for table in tables)
    for family in pool["tables"].reshape(16, 4, -1):
        assert (family != family[0]).any(axis=0).sum() <= 3
    # A family depends on the seed and its number alone.
    short = replace(TINY, pool=16).birds.draw(ignore)
    np.testing.assert_array_equal(short["images"], pool["images"][:16])


def pixels(images: torch.Tensor) -> np.ndarray:
    """``(B, 3, S, S)`` in [0, 1] back to ``(B, S, S, 3)`` uint8."""
    return (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()


def test_captions_of_a_batch_are_true_of_their_images(pool: dict[str, np.ndarray]) -> None:
    world = load_world()
    recipe = replace(TINY, batch_size=64, habitat_chance=0.7, views="original")
    pairs = Pairs(recipe, pool)
    images, sentences = pairs.batch(0)
    by_pixels = {image.tobytes(): k for k, image in enumerate(pool["images"])}
    named_habitats = 0
    for image, sentence in zip(pixels(images), sentences, strict=True):
        k = by_pixels[image.tobytes()]
        for (name, attribute), row in zip(world.attributes.items(), pool["tables"][k], strict=True):
            for value, phrase in attribute.phrases.items():
                if f" {phrase}" in sentence and name != "shape":
                    assert value == attribute.values[row], sentence
        habitat = list(world.habitats.values())[pool["habitats"][k]]
        others = set(world.habitats.values()) - {habitat}
        assert not any(sentence.endswith(other) for other in others), sentence
        named_habitats += sentence.endswith(habitat)
        assert any(sentence.startswith(opening.split("{")[0]) for opening in OPENINGS)
    assert 30 <= named_habitats <= 58


def test_an_epoch_of_pairs_visits_every_bird_once(pool: dict[str, np.ndarray]) -> None:
    pairs = Pairs(replace(TINY, views="original"), pool)
    first = [pairs.batch(step) for step in range(4)]
    again = pairs.batch(4)

    def birds(images: torch.Tensor) -> set[bytes]:
        return {image.tobytes() for image in pixels(images)}

    assert len(set().union(*(birds(images) for images, _ in first))) == 64
    # The next epoch has another order and other words.
    assert birds(again[0]) != birds(first[0][0]) and not set(again[1]) & set(first[0][1])
    replayed = Pairs(replace(TINY, views="original"), pool).batch(2)
    assert torch.equal(replayed[0], first[2][0]) and replayed[1] == first[2][1]


def test_a_family_stays_together_and_is_seen_anew(pool: dict[str, np.ndarray]) -> None:
    images, sentences = Pairs(replace(TINY, marks_chance=1.0, views="original"), pool).batch(0)
    by_pixels = {image.tobytes(): k for k, image in enumerate(pool["images"])}
    visited = [by_pixels[image.tobytes()] for image in pixels(images)]
    assert len(visited) == 16 and len({k // 4 for k in visited}) == 4
    attributes = list(load_world().attributes.values())
    for k, sentence in zip(visited, sentences, strict=True):
        for mark in pool["marks"][k]:
            value = attributes[mark].values[pool["tables"][k][mark]]
            assert attributes[mark].phrases[value] in sentence
    # The same bird is another view the next time.
    light = Pairs(replace(TINY, batch_size=64), pool)
    first, second = (light.batch(step)[0].sort(dim=0).values for step in (0, 1))
    assert not torch.equal(first, second)


def test_families_must_fit_batch_and_pool() -> None:
    for change in ({"family": 3}, {"family": 5}, {"pool": 8}):
        with pytest.raises(UserError, match=r"famil|no batch"):
            replace(TINY, **change)


def test_bad_recipes_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        load_pretrain_recipe(tmp_path / "none.yaml")
    for text in ("steps: [", "stepz: 3", "architecture: {}", "", "- 1", "3"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UserError, match="cannot be used"):
            load_pretrain_recipe(tmp_path / "bad.yaml")


def test_a_damaged_or_missing_demo_teacher_is_a_sentence(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weights of none are missing"):
        load_folder(tmp_path / "none", "none")
    for name in ("open_clip_config.json", "vocabulary.json", "model.safetensors"):
        folder = tmp_path / name
        folder.mkdir()
        for path in (path for path in trained.iterdir() if path.is_file()):
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / name).write_text("{")
        with pytest.raises(UserError, match="cannot be loaded"):
            load_folder(folder, "folder")


@pytest.mark.parametrize("name", BUNDLED)
def test_a_shipped_recipe_is_that_of_the_shipped_teacher(name: str) -> None:
    recipe = load_pretrain_recipe(BUNDLED[name] / "recipe.yaml")
    shipped = json.loads((BUNDLED[name] / "open_clip_config.json").read_text())
    architecture = shipped["model_cfg"]
    assert architecture["vision_cfg"] == recipe.architecture["vision_cfg"]
    assert tuple(shipped["preprocess_cfg"]["mean"]) == recipe.mean
    assert (BUNDLED[name] / "model.safetensors").stat().st_size < 10_000_000


@pytest.mark.slow
def test_the_specialist_knows_new_birds_and_the_generalist_their_families() -> None:
    options = FieldGuideOptions(size=96)
    drawn = [record(options, "val", index) for index in range(80)]
    images = torch.from_numpy(np.stack([one.scene.image for one in drawn]))
    pixels = images.permute(0, 3, 1, 2).float() / 255
    labels = torch.tensor([one.label for one in drawn])
    classes = open_fieldguide(size=96).classes
    groups = [info.group for info in classes]
    found = {}
    for name in BUNDLED:
        teacher = load_bundled(name)
        answers = (teacher.embed(pixels) @ text_prototypes(teacher, classes).T).argmax(dim=1)
        species = (answers == labels).float().mean().item()
        pairs = zip(answers.tolist(), labels.tolist(), strict=True)
        family = np.mean([groups[a] == groups[b] for a, b in pairs])
        found[name] = species, family
    assert found["fieldguide-clip"][0] > 0.9  # chance is 0.025
    assert 0.3 < found["fieldguide-clip-generalist"][0] < 0.55
    assert found["fieldguide-clip-generalist"][1] > 0.9  # chance is 0.125


def test_the_share_of_captions_that_name_parts_is_a_setting() -> None:
    pool = TINY.birds.load(ignore)
    named = {}
    for share in (1.0, 0.25, 0.0):
        recipe = replace(TINY, caption_detail=share)
        words = [words for step in range(8) for words in Pairs(recipe, pool).batch(step)[1]]
        named[share] = sum(" with " in sentence for sentence in words) / len(words)
    assert named == {1.0: 1.0, 0.25: pytest.approx(0.25, abs=0.12), 0.0: 0.0}
    with pytest.raises(UserError, match="0 to 1"):
        replace(TINY, caption_detail=1.5)


def test_a_web_captions_words_are_in_the_vocabulary() -> None:
    sentence = "a wild rufous bird flying in a marsh in dim light"
    assert not CompactTokenizer(vocabulary_rows(web=True), 24).unknown_words(sentence)
    assert "flying" in CompactTokenizer(vocabulary_rows(), 24).unknown_words(sentence)
