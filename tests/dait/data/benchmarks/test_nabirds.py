"""NABirds: got by hand, ids that are no numbers, and a hierarchy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from file_server import FileServer
from miniatures import Mini

from dait.data.benchmarks.catalogue import benchmarks
from dait.errors import UserError

MakeMini = Callable[..., Mini]
ARCHIVE = "nabirds.tar.gz"


def test_classes_are_the_nodes_that_images_are_of(mini: MakeMini) -> None:
    listing = mini("nabirds").listing()
    assert [(info.key, info.name, info.group) for info in listing.classes] == [
        ("0295", "Wood Duck", "Ducks, Geese, and Swans"),
        ("0817", "Dark-eyed Junco (Oregon)", "Sparrows"),
        ("0818", "Dark-eyed Junco (Slate-colored)", "Sparrows"),
    ]
    entry = listing.splits["test"][0]
    assert entry.id == "0295/00000000000000000000000000000000.jpg"
    assert entry.box == (2, 3, 12, 14) and entry.mask is None


def test_without_the_archive_the_sentence_says_what_to_get(
    mini: MakeMini, server: FileServer
) -> None:
    made = mini("nabirds")
    real = benchmarks()["nabirds"]
    assert not real.published[0].url
    made.benchmark = replace(made.benchmark, published=real.published)
    with pytest.raises(UserError) as caught:
        made.listing()
    sentence = str(caught.value)
    assert server.asked == [] and "‘nabirds.tar.gz’" in sentence
    assert "https://dl.allaboutbirds.org/nabirds" in sentence
    assert f"‘{made.folder / 'archives'}’" in sentence
    assert f"the unpacked ‘nabirds’ into ‘{made.folder}’" in sentence


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("hierarchy.txt", b"295 1\n817 296\n296 817\n818 296\n1 0\n", "is its own ancestor"),
        ("classes.txt", b"295 Wood Duck\n817 Junco\n", "‘818’ has no name in classes.txt"),
    ],
)
def test_lists_that_do_not_fit(mini: MakeMini, file: str, text: bytes, words: str) -> None:
    made = mini("nabirds", {ARCHIVE: {f"nabirds/{file}": text}})
    with pytest.raises(UserError, match=words):
        made.listing()
