"""OpenCLIP models from pretrained tags, hub repositories and folders; what is code is refused."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import HubServer
from safetensors.torch import load, load_file, save_file
from trap import Trap

from dait.errors import UserError
from dait.events import Event, Progress
from dait.teachers.openclip.load import load_openclip, load_openclip_folder, load_openclip_hub
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.registry import fetch_teacher, load_teacher
from dait.teachers.weights import BUNDLED, files_of, is_here, openclip_file

Files = dict[str, bytes]
PutInCache = Callable[[str, Files], Path]
CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
PICKLE = "open_clip_pytorch_model.bin"


@pytest.fixture
def folder(clip_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(clip_folder, tmp_path / "clip"))


@pytest.fixture
def tag(
    clip_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Adds a pretrained tag of the tiny architecture to OpenCLIP's own tables."""
    import open_clip
    from open_clip import factory, pretrained

    file = tmp_path / "tiny-clip.json"
    file.write_text(json.dumps(json.loads(clip_files[CONFIG])["model_cfg"]))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", [*factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    open_clip.add_model_config(file)
    tags: dict[str, dict[str, Any]] = {}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip", tags)

    def add(name: str, **described: Any) -> dict[str, Any]:
        tags[name] = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), **described}
        return tags[name]

    return add


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_a_tag_loads_from_the_cache_with_its_own_normalisation(
    tag: Callable[..., Any], put_in_cache: PutInCache, clip_files: Files
) -> None:
    tag("laion", hf_hub="tiny/clip/", interpolation="bilinear")
    assert not is_here("openclip:tiny-clip/laion")
    put_in_cache("tiny/clip", clip_files)
    assert is_here("openclip:tiny-clip/laion")
    before = torch.random.get_rng_state()
    teacher = load_teacher("openclip:tiny-clip/laion")
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(teacher, OpenClipTeacher)
    assert (teacher.mean, teacher.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (teacher.interpolation, teacher.image_size, teacher.dim) == ("bilinear", 32, 12)
    weights = load(clip_files[WEIGHTS])
    assert all(
        torch.equal(value, weights[key]) for key, value in teacher.model.state_dict().items()
    )


def test_a_tag_trained_with_quick_gelu_is_built_with_it(
    tag: Callable[..., Any], put_in_cache: PutInCache, clip_files: Files
) -> None:
    tag("openai", hf_hub="tiny/clip/", quick_gelu=True)
    tag("laion", hf_hub="tiny/clip/")
    put_in_cache("tiny/clip", clip_files)
    quick, plain = (load_openclip("tiny-clip", name) for name in ("openai", "laion"))
    names = {type(module).__name__ for module in quick.model.modules()}
    assert "QuickGELU" in names and "GELU" not in names
    images = torch.rand(2, 3, 32, 32)
    assert (quick.embed(images) - plain.embed(images)).norm() > 1e-4
    assert quick.weights_hash != plain.weights_hash  # the same weights, other embeddings


def test_openais_tag_of_the_plain_model_uses_quick_gelu() -> None:
    import open_clip

    described = open_clip.get_pretrained_cfg("ViT-B-32", "openai")
    assert described["quick_gelu"] and not open_clip.get_model_config("ViT-B-32").get("quick_gelu")
    # A safetensors twin of every one of OpenAI's TorchScript files is on the hub.
    for model, name in open_clip.list_pretrained():
        assert openclip_file(model, name).names[0].endswith(".safetensors")


def test_a_tag_downloads_with_progress_and_the_next_one_asks_nobody(
    hub: HubServer, tag: Callable[..., Any], clip_files: Files, capfd: pytest.CaptureFixture[str]
) -> None:
    tag("laion", hf_hub="tiny/clip/")
    hub.repos["tiny/clip"] = clip_files
    heard: list[Event] = []
    teacher = load_teacher("openclip:tiny-clip/laion", emit=heard.append)
    assert any(isinstance(event, Progress) and event.done == event.total for event in heard)
    asked = len(hub.asked)
    assert load_teacher("openclip:tiny-clip/laion").weights_hash == teacher.weights_hash
    assert len(hub.asked) == asked
    assert capfd.readouterr() == ("", "")


def test_torchscript_and_pickles_from_elsewhere_are_refused_with_the_safe_tags(
    tag: Callable[..., Any],
) -> None:
    tag("openai", url="https://example.org/ViT.pt")
    tag("laion", hf_hub="tiny/clip/")
    with pytest.raises(UserError, match=r"only as a pickle.*ViT\.pt.*Safe tags.*: laion\."):
        load_teacher("openclip:tiny-clip/openai")
    with pytest.raises(UserError, match="so it is refused"):
        fetch_teacher("openclip:tiny-clip/openai")


def test_a_tag_that_names_a_pickle_prefers_its_safe_twin() -> None:
    file = openclip_file("ViTamin-S", "datacomp1b")
    assert file.names == ("pytorch_model.safetensors", "pytorch_model.bin")
    assert file.repo == "jienengchen/ViTamin-S"


def test_a_hub_repository_loads(
    put_in_cache: PutInCache, clip_files: Files, clip_folder: Path
) -> None:
    put_in_cache("tiny/clip", clip_files)
    teacher = load_teacher("openclip:hf-hub:tiny/clip")
    local = load_openclip_folder(clip_folder)
    assert teacher.name == "openclip:hf-hub:tiny/clip"
    assert teacher.weights_hash == local.weights_hash
    images = torch.rand(2, 3, 40, 40)
    assert torch.equal(teacher.embed(images), local.embed(images))
    assert torch.equal(teacher.embed_text(["a duck"]), local.embed_text(["a duck"]))


def test_fetch_gets_all_that_loading_needs(
    hub: HubServer, clip_files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["tiny/clip"] = clip_files
    name = "openclip:hf-hub:tiny/clip"
    assert {path.name for path in fetch_teacher(name)} == {CONFIG, WEIGHTS}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_teacher(name).dim == 12


def test_a_hub_repository_at_a_version(hub: HubServer, clip_files: Files) -> None:
    hub.repos["tiny/clip"] = clip_files
    assert load_openclip_hub("tiny/clip@main").dim == 12
    with pytest.raises(UserError, match="has no version ‘v7’"):
        load_openclip_hub("tiny/clip@v7")


def test_pickled_weights_of_tensors_alone_are_read(
    put_in_cache: PutInCache, clip_files: Files
) -> None:
    tensors = load(clip_files[WEIGHTS])
    files = {CONFIG: clip_files[CONFIG], PICKLE: pickled({"state_dict": tensors})}
    put_in_cache("tiny/clip", files)
    teacher = load_openclip_hub("tiny/clip")
    state = teacher.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in tensors.items())


@pytest.mark.parametrize("how", ["zip", "plain"])
def test_a_pickle_that_is_code_is_refused_and_not_run(
    put_in_cache: PutInCache, clip_files: Files, tmp_path: Path, how: str
) -> None:
    mark = tmp_path / "it-was-run"
    trap = {"state_dict": load(clip_files[WEIGHTS]), "more": Trap(mark)}
    data = pickled(trap) if how == "zip" else pickle.dumps(trap)
    put_in_cache("tiny/clip", {CONFIG: clip_files[CONFIG], PICKLE: data})
    with pytest.raises(UserError, match=f"{PICKLE} .* is a pickle that holds more than tensors"):
        load_openclip_hub("tiny/clip")
    assert not mark.exists()
    if how == "zip":
        torch.load(io.BytesIO(data), weights_only=False)
    else:
        pickle.loads(data)
    assert mark.exists()  # the trap is a real one


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_torchscript_under_a_pickles_name_is_refused(
    put_in_cache: PutInCache, clip_files: Files
) -> None:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    put_in_cache("tiny/clip", {CONFIG: clip_files[CONFIG], PICKLE: buffer.getvalue()})
    with pytest.raises(UserError, match="cannot be loaded"):
        load_openclip_hub("tiny/clip")


def test_pickled_weights_in_a_local_folder_are_not_read(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (folder / PICKLE).write_bytes(pickle.dumps(Trap(mark)))
    load_openclip_folder(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"one \.safetensors file"):
        load_openclip_folder(folder)
    assert not mark.exists()


def reconfigured(files: Files, **changes: Any) -> Files:
    config = json.loads(files[CONFIG])
    for part, values in changes.items():
        config["model_cfg"][part] |= values
    return {**files, CONFIG: json.dumps(config).encode()}


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "‘trust_remote_code’"),
        ("text_cfg", {"tokenizer_mode": "clips"}, "tokenizer_mode clips"),
        ("vision_cfg", {"timm_model_name": "hf-hub:evil/tower"}, "‘hf-hub:evil/tower’"),
        ("vision_cfg", {"timm_model_name": "local-dir:/etc"}, "‘local-dir:/etc’"),
    ],
)
def test_a_configuration_that_reaches_for_code_is_refused(
    put_in_cache: PutInCache, clip_files: Files, part: str, change: dict[str, Any], words: str
) -> None:
    put_in_cache("tiny/clip", reconfigured(clip_files, **{part: change}))
    with pytest.raises(UserError, match=f"is refused.*{words}"):
        load_openclip_hub("tiny/clip")


def test_a_tower_of_a_library_that_is_not_there(
    put_in_cache: PutInCache, clip_files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    put_in_cache("tiny/clip", reconfigured(clip_files, text_cfg={"hf_model_name": "roberta-base"}))
    with pytest.raises(UserError, match=r"roberta-base.*pip install transformers"):
        load_openclip_hub("tiny/clip")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_text_tower_with_code_of_its_own_is_refused(
    put_in_cache: PutInCache, clip_files: Files, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    tower: Files = {"config.json": b"{}", "tokenizer_config.json": b"{}"}
    put_in_cache("tiny/tower", {**tower, file: b'{"auto_map": {"AutoModel": "code.Tower"}}'})
    put_in_cache("tiny/clip", reconfigured(clip_files, text_cfg={"hf_model_name": "tiny/tower"}))
    with pytest.raises(UserError, match=f"is refused: {file} of tiny/tower names code of its own"):
        load_openclip_hub("tiny/clip")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"model_cfg": {"text_cfg": {}}}'])
def test_a_damaged_config_is_a_sentence(folder: Path, text: str) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_openclip_folder(folder)


def test_weights_that_are_damaged_or_of_another_model(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"damaged download is fetched again when .* is deleted"):
        load_openclip_folder(folder)
    save_file({"other": torch.zeros(2)}, folder / WEIGHTS)
    with pytest.raises(UserError, match="Are the weights those of the config"):
        load_openclip_folder(folder)


def test_the_hash_is_that_of_weights_and_configuration(clip_folder: Path, folder: Path) -> None:
    first = load_openclip_folder(clip_folder).weights_hash
    assert load_openclip_folder(folder).weights_hash == first
    config = json.loads((folder / CONFIG).read_text())
    config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
    (folder / CONFIG).write_text(json.dumps(config))
    second = load_openclip_folder(folder).weights_hash
    weights = load_file(folder / WEIGHTS)
    weights["logit_scale"] = weights["logit_scale"] + 1
    save_file(weights, folder / WEIGHTS)
    assert len({first, second, load_openclip_folder(folder).weights_hash}) == 3


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it holds nothing"):
        load_teacher(f"openclip-local:{tmp_path / 'none'}")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"it holds notes\.txt"):
        load_teacher(f"openclip-local:{tmp_path}")


def test_the_demo_teachers_folder_is_one() -> None:
    folder = BUNDLED["fieldguide-clip"]
    local, demo = load_teacher(f"openclip-local:{folder}"), load_teacher("fieldguide-clip")
    sentences = ["a bird with a red crown", "a blue bird"]
    torch.testing.assert_close(local.embed_text(sentences), demo.embed_text(sentences))


def test_unknown_models_and_tags_have_near_matches() -> None:
    with pytest.raises(UserError, match=r"no model called 'ViT-B-23'\. Did you mean ViT-B-32"):
        load_teacher("openclip:ViT-B-23/openai")
    with pytest.raises(UserError, match=r"ViT-B-32 has no pretrained tag 'laion9'.*laion2b_s34b"):
        load_openclip("ViT-B-32", "laion9")
    with pytest.raises(UserError, match="no pretrained tag 'laion9'"):
        fetch_teacher("openclip:ViT-B-32/laion9")


def test_weights_that_are_not_on_this_machine(
    hub_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError) as caught:
        load_teacher("openclip:ViT-B-32/openai")
    sentence = str(caught.value)
    assert "weights of openclip:ViT-B-32/openai are not on this machine" in sentence
    assert "605 MB" in sentence and "fieldguide-clip" in sentence and "\n" not in sentence
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match=r"4\.8 GB"):
        load_teacher("openclip:convnext_xxlarge/laion2b_s34b_b82k_augreg_soup")


@pytest.mark.parametrize(
    "name", ["", "clip", "openclip:ViT-B-32", "openclip:", "openclip-local:", "timm:", "../x"]
)
def test_other_names_list_the_forms(name: str) -> None:
    for ask in (load_teacher, fetch_teacher):
        with pytest.raises(UserError, match=r"Known forms: fieldguide-clip, .*openclip:MODEL/TAG"):
            ask(name)


def test_what_is_wanted_of_the_network() -> None:
    names = [file.names for file in files_of("openclip:ViT-B-16-SigLIP/webli")]  # type: ignore[union-attr]
    assert names == [("tokenizer.json",), ("tokenizer_config.json",), (WEIGHTS, PICKLE)]
    assert files_of("fieldguide-clip") == files_of("openclip-local:somewhere") == ()
