"""Stanford Cars: MATLAB structs, and links that are dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from file_server import FileServer
from miniatures import Mini, cells, mat

from dait.data.benchmarks.catalogue import benchmarks
from dait.data.folders.dataset import ImageFileDataset
from dait.errors import UserError

MakeMini = Callable[..., Mini]
LABELS = "cars_test_annos_withlabels.mat"
pytestmark = pytest.mark.usefixtures("own_cache")


def test_names_and_boxes(mini: MakeMini) -> None:
    listing = mini("stanford-cars").listing()
    assert [(info.key, info.name) for info in listing.classes] == [
        ("AM General Hummer SUV 2000", "AM General Hummer SUV 2000"),
        ("Ram C-V Cargo Van Minivan 2012", "Ram C/V Cargo Van Minivan 2012"),
    ]
    first = listing.splits["test"][0]
    assert (first.id, first.label, first.box) == ("cars_test/00001.jpg", 1, (2, 3, 20, 18))


def test_grey_and_cmyk_images_are_read(mini: MakeMini) -> None:
    data = ImageFileDataset(mini("stanford-cars").listing(), 16)
    for name in ("train", "val", "test"):
        data.split(name)
    assert data.problems == ()
    test = data.split("test")
    grey = test.images[test.ids.index("cars_test/00002.jpg")]
    assert (grey == grey[..., :1]).all()


def test_the_sentence_names_every_file_that_is_missing(mini: MakeMini, server: FileServer) -> None:
    made = mini("stanford-cars")
    made.benchmark = replace(made.benchmark, published=benchmarks()["stanford-cars"].published)
    (made.folder / "archives").mkdir(parents=True)
    (made.folder / "archives" / LABELS).write_bytes(made.files[LABELS])
    with pytest.raises(UserError) as caught:
        made.listing()
    sentence = str(caught.value)
    for file in ("car_devkit.tgz", "cars_train.tgz", "cars_test.tgz"):
        assert f"‘{file}’" in sentence
    assert f"‘{LABELS}’" not in sentence and server.asked == []
    assert "979,269,282 bytes" in sentence and str(made.folder / "archives") in sentence


def test_labels_beside_the_devkit_are_found(mini: MakeMini, server: FileServer) -> None:
    made = mini("stanford-cars")
    (made.folder / "devkit").mkdir(parents=True)
    (made.folder / "devkit" / LABELS).write_bytes(made.files[LABELS])
    made.listing()
    assert not any(LABELS in path for path, _ in server.asked)


def one(label: object = 1, image: str = "00001.jpg", **more: object) -> np.ndarray:
    fields = {"bbox_x1": 1, "bbox_y1": 1, "bbox_x2": 9, "bbox_y2": 9, "class": label}
    fields |= {"fname": image, **more}
    found = np.empty((1, 1), dtype=[(field, object) for field in fields])
    for field, value in fields.items():
        found[0, 0][field] = value
    return found


def test_a_single_annotation_is_still_a_list(mini: MakeMini) -> None:
    kit = {"devkit/cars_train_annos.mat": mat(annotations=one())}
    with pytest.raises(UserError, match="No training image of the class ‘Ram C/V"):
        mini("stanford-cars", {"car_devkit.tgz": kit, LABELS: mat(annotations=one(2))}).listing()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({LABELS: mat(annotations=one(3))}, "the class 3, but there are 2 classes"),
        ({LABELS: mat(annotations=one(0))}, "the class 0"),
        ({LABELS: mat(annotations=one(1, "../00001.jpg"))}, "no path inside"),
        ({LABELS: mat(annotations=np.zeros(3))}, "do not have the fields fname"),
        ({LABELS: mat(other=1)}, "has no variable ‘annotations’"),
        ({LABELS: b"not found"}, "no MATLAB file"),
        (
            {"car_devkit.tgz": {"devkit/cars_meta.mat": mat(class_names=cells(["A", "A"], False))}},
            "names a class twice",
        ),
        ({"car_devkit.tgz": {"devkit/cars_train_annos.mat": None}}, "annos.mat’ is missing"),
    ],
)
def test_files_that_do_not_fit(mini: MakeMini, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        mini("stanford-cars", changes).listing()
