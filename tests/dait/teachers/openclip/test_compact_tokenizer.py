from __future__ import annotations

import pytest
import torch

from dait.data.fieldguide.captions import caption, prompts
from dait.data.fieldguide.world import load_world, random_attributes
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer, rows_in_use
from pretraining.teacher import vocabulary_rows

SENTENCES = ["a red bird with a long tail", "one duck in the snow"]


@pytest.fixture(scope="module")
def tokenizer() -> CompactTokenizer:
    return CompactTokenizer(rows_in_use(SENTENCES), context_length=12)


def test_ids_are_rows_between_start_and_end(tokenizer: CompactTokenizer) -> None:
    found = tokenizer(SENTENCES)
    assert found.shape == (2, 12) and found.dtype == torch.long
    start, end = tokenizer.vocab_size - 2, tokenizer.vocab_size - 1
    words = found[0, 1:8].tolist()
    assert found[0].tolist() == [start, *words, end, 0, 0, 0]
    assert all(1 <= word <= len(tokenizer.rows) for word in words)
    assert words[0] == words[4]  # the article, twice
    assert found.max() < tokenizer.vocab_size
    assert tokenizer(SENTENCES[0]).tolist() == [found[0].tolist()]


def test_the_end_has_the_highest_id(tokenizer: CompactTokenizer) -> None:
    """OpenCLIP pools the text at ``argmax``."""
    found = tokenizer([*SENTENCES, "", "a " * 50])
    end = tokenizer.vocab_size - 1
    for row in found:
        place = int(row.argmax())
        assert row[place] == end and (row == end).sum() == 1
        assert not row[place + 1 :].any()


def test_rows_are_openclips_own_tokens(tokenizer: CompactTokenizer) -> None:
    from open_clip import SimpleTokenizer

    full = SimpleTokenizer()
    ids = tokenizer(SENTENCES[1])[0]
    inner = [tokenizer.rows[int(i) - 1] for i in ids if 0 < i <= len(tokenizer.rows)]
    assert full.decode(inner).split() == SENTENCES[1].split()


def test_long_sentences_are_cut_but_end(tokenizer: CompactTokenizer) -> None:
    long = tokenizer("a red bird with a long tail " * 5)[0]
    assert len(long) == 12 and long[-1] == tokenizer.vocab_size - 1 and long.min() > 0
    short = tokenizer("a red bird with a long tail", context_length=4)[0]
    assert short.tolist() == [tokenizer.vocab_size - 2, *long[1:3].tolist(), long[-1].item()]


def test_unknown_words_are_left_out_and_listed(tokenizer: CompactTokenizer) -> None:
    plain = tokenizer("a red bird")
    assert torch.equal(tokenizer("A red, sparkling bird!"), plain)
    assert tokenizer.unknown_words("A red, sparkling bird of 9 pounds!") == [
        "sparkling", "of", "9", "pounds",
    ]  # fmt: skip
    assert tokenizer.unknown_words(SENTENCES[0]) == []
    assert tokenizer("")[0, :2].tolist() == [tokenizer.vocab_size - 2, tokenizer.vocab_size - 1]


def test_the_demo_teachers_vocabulary_holds_every_caption_and_prompt() -> None:
    import numpy as np

    whole = CompactTokenizer(vocabulary_rows(), context_length=56)
    assert whole.vocab_size < 400  # against OpenCLIP's 49,408
    rng = np.random.default_rng(0)
    habitats = list(load_world().habitats)
    sentences = [
        caption(random_attributes(rng), habitats[k % 6], rng, least=4, most=8) for k in range(200)
    ]
    sentences += [text for bird in load_world().species for text in prompts(bird.attributes)]
    for sentence in sentences:
        assert whole.unknown_words(sentence) == [], sentence
    ids = whole(sentences)
    # Nothing of them is cut: the end stands before the last place or on it with all words kept.
    full = whole(sentences, context_length=200)
    assert torch.equal(full[:, :56], ids) and not full[:, 56:].any()
