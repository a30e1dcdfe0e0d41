"""Tokenizers of the hub: cleaned, cut, padded; and a SigLIP-like model that reads with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from dait.data.base import ClassInfo
from dait.errors import UserError
from dait.teachers.base import text_prototypes
from dait.teachers.openclip.hub_tokenizer import HubTokenizer
from dait.teachers.openclip.load import load_openclip_folder, load_openclip_hub
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.weights import files_of

WORDS = ("[PAD]", "</s>", "[SEP]", "[UNK]", "a", "red", "bird", "blue", "duck")
END, UNKNOWN, SEPARATOR = 1, 3, 2
Files = dict[str, bytes]


def tokenizer_files(**settings: Any) -> Files:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(["[PAD]", "</s>", "[SEP]"])
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", END)]
    )
    described = {"pad_token": "[PAD]", "sep_token": {"content": "[SEP]"}, **settings}
    return {
        "tokenizer.json": made.to_str().encode(),
        "tokenizer_config.json": json.dumps(described).encode(),
    }


def written(folder: Path, files: Files) -> tuple[Path, Path]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / "tokenizer.json", folder / "tokenizer_config.json"


def test_sentences_are_cleaned_cut_and_padded(tmp_path: Path) -> None:
    files = written(tmp_path, tokenizer_files())
    plain = HubTokenizer(*files, 5)
    found = plain(["a  red bird", "Bird", "a red bird a red bird"])
    assert found.dtype == torch.int64
    assert found.tolist() == [[4, 5, 6, END, 0], [UNKNOWN, END, 0, 0, 0], [4, 5, 6, 4, END]]
    assert torch.equal(plain("a duck"), plain(["a duck"]))
    canonical = HubTokenizer(*files, 5, clean="canonicalize")
    assert canonical("A red, bird!").tolist() == [[4, 5, 6, END, 0]]
    stripped = HubTokenizer(*files, 5, strip_sep_token=True)
    assert stripped("a [SEP] duck").tolist() == [[4, 0, 8, END, 0]]
    assert plain("a [SEP] duck").tolist() == [[4, SEPARATOR, 8, END, 0]]


def test_padding_goes_where_the_tokenizer_says(tmp_path: Path) -> None:
    left = HubTokenizer(*written(tmp_path, tokenizer_files(padding_side="left")), 4)
    assert left("duck").tolist() == [[0, 0, 8, END]]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("tokenizer.json", b"{", "cannot be read"),
        ("tokenizer.json", b"\x80\x04", "cannot be read"),
        ("tokenizer_config.json", b"[]", "cannot be read"),
        ("tokenizer_config.json", b"{}", "cannot be read"),
        ("tokenizer_config.json", b'{"pad_token": "none"}', "does not know its own padding"),
    ],
)
def test_a_damaged_tokenizer_is_a_sentence(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    files = written(tmp_path, {**tokenizer_files(), name: data})
    with pytest.raises(UserError, match=words):
        HubTokenizer(*files, 5)


@pytest.fixture
def siglip_files() -> Files:
    """A tiny model of SigLIP's kind: sigmoid-trained scale and bias, no causal mask, own words."""
    import open_clip

    architecture: dict[str, Any] = {
        "embed_dim": 12,
        "init_logit_scale": 4.6,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "layers": 1, "width": 16},
        "text_cfg": {"context_length": 8, "vocab_size": len(WORDS), "width": 8, "heads": 1},
    }
    architecture["vision_cfg"]["head_width"] = 8
    architecture["text_cfg"] |= {"layers": 1, "no_causal_mask": True, "pool_type": "last"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CustomTextCLIP(
            **{key: value for key, value in architecture.items() if key != "custom_text"}
        )
    architecture["text_cfg"] |= {
        "hf_tokenizer_name": "tiny/siglip",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    mean = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
    config = {"model_cfg": architecture, "preprocess_cfg": mean}
    return {
        "open_clip_config.json": json.dumps(config).encode(),
        "open_clip_model.safetensors": save(dict(model.state_dict())),
        **tokenizer_files(),
    }


def test_a_siglip_repository_has_its_scale_bias_and_words(
    put_in_cache: Callable[[str, Files], Path], siglip_files: Files, tmp_path: Path
) -> None:
    put_in_cache("tiny/siglip", siglip_files)
    assert len(files_of("openclip:hf-hub:tiny/siglip")) == 4
    teacher = load_openclip_hub("tiny/siglip")
    assert teacher.logit_scale == pytest.approx(float(torch.tensor(4.6).exp()), rel=1e-5)
    assert teacher.logit_bias == pytest.approx(-10)
    assert torch.equal(teacher.embed_text(["A red bird."]), teacher.embed_text(["a red bird"]))
    # What the sigmoid was trained on; that the method leaves the bias out changes no softmax.
    images = torch.rand(2, 3, 32, 32)
    classes = (ClassInfo("a", "red bird"), ClassInfo("b", "blue duck"))
    cosines = teacher.embed(images) @ text_prototypes(teacher, classes).T
    logits = teacher.logit_scale * cosines
    torch.testing.assert_close((logits + teacher.logit_bias).softmax(1), logits.softmax(1))
    folder = tmp_path / "local"
    folder.mkdir()
    written(folder, siglip_files)
    local = load_openclip_folder(folder)
    assert torch.equal(local.embed_text(["a duck"]), teacher.embed_text(["a duck"]))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"needs a tokenizer: tokenizer\.json and"):
        load_openclip_folder(folder)


def test_a_softmax_trained_model_has_no_bias(clip_folder: Path) -> None:
    teacher = load_openclip_folder(clip_folder)
    assert isinstance(teacher, OpenClipTeacher) and teacher.logit_bias == 0.0


def test_the_tokenizer_is_wanted_before_the_weights(
    put_in_cache: Callable[[str, Files], Path], siglip_files: Files
) -> None:
    del siglip_files["tokenizer.json"], siglip_files["open_clip_model.safetensors"]
    put_in_cache("tiny/siglip", siglip_files)
    with pytest.raises(UserError, match=r"not on this machine \(tokenizer\.json of the hub's"):
        load_openclip_hub("tiny/siglip")
