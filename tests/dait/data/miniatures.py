"""Miniature archives in the published layouts, odd files included.

Every builder gives ``{published file: bytes}``; classes are few, images tiny, and every class has
some training and some test images.
"""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from dait.data.benchmarks.benchmark import Benchmark, list_benchmark
from dait.data.benchmarks.obtain import obtain
from dait.data.folders.listing import Listing
from dait.events import Emit, ignore

Files = dict[str, bytes]
FLOWERS = 102


@dataclass
class Mini:
    """A real benchmark but for the addresses, lengths and checksums of its ``files``."""

    benchmark: Benchmark
    folder: Path
    files: Files

    def listing(self, variant: str | None = None, emit: Emit = ignore) -> Listing:
        variant = self.benchmark.variants[0] if variant is None else variant
        places = obtain(self.benchmark, self.folder, emit=emit)
        return list_benchmark(self.benchmark, variant, self.folder, places)


def photo(
    number: int, mode: str = "RGB", form: str = "JPEG", size: tuple[int, int] = (24, 20)
) -> bytes:
    """A noisy picture of its own, in whatever mode and format."""
    width, height = size
    noise = np.random.default_rng(number).integers(0, 256, (height, width, 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA" if mode == "RGBA" else "CMYK")
    return _saved(image if image.mode == mode else image.convert("RGB").convert(mode), form)


def archive(members: Mapping[str, bytes], kind: str = "gz") -> bytes:
    """A tar of files; ``kind`` is its compression, "" for none."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}", format=tarfile.GNU_FORMAT) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def members(data: bytes) -> Files:
    """What ``archive`` was given, so that a test can change it."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}  # type: ignore[union-attr]


def mat(**variables: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def cells(words: list[str], column: bool = True) -> np.ndarray:
    """A MATLAB cell array of strings."""
    found = np.empty(len(words), dtype=object)
    found[:] = words
    return found[:, None] if column else found[None]


def cub() -> Files:
    names = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Brewer_Blackbird"]
    files: Files = {}
    masks: Files = {}
    lists: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    boxes = []
    for number in range(12):
        name = names[number % 3]
        path = f"{name}/{name[4:]}_{number:04d}_{796_000 + number}"
        grey = number == 4
        files[f"images/{path}.jpg"] = photo(number, "L" if grey else "RGB")
        masks[f"segmentations/{path}.png"] = _mask(255 if number else 153, (24, 20))
        if grey:
            files[f"images/{path}_rgb.jpg"] = photo(number)  # in the archive, in no list
        lists["images"].append(f"{number + 1} {path}.jpg")
        lists["image_class_labels"].append(f"{number + 1} {number % 3 + 1}")
        lists["train_test_split"].append(f"{number + 1} {int(number % 4 > 0)}")
        boxes.append(f"{number + 1} 6.0 5.0 12.0 10.0")
    texts = {**lists, "bounding_boxes": boxes}
    texts["classes"] = [f"{number} {name}" for number, name in enumerate(names, start=1)]
    files |= {f"{name}.txt": _lines(text) for name, text in texts.items()}
    files["README"] = b"The Caltech-UCSD Birds-200-2011 Dataset"
    inside = {f"CUB_200_2011/{name}": data for name, data in files.items()}
    return {
        "CUB_200_2011.tgz": archive(inside | {"attributes.txt": b"1 has_bill_shape::curved\n"}),
        "segmentations.tgz": archive(masks),
    }


def nabirds() -> Files:
    nodes = {
        "0": "Birds",
        "1": "Ducks, Geese, and Swans",
        "2": "Perching Birds",
        "23": "Sparrows",
        "295": "Wood Duck",
        "296": "Dark-eyed Junco",
        "817": "Dark-eyed Junco (Oregon)",
        "818": "Dark-eyed Junco (Slate-colored)",
    }
    parents = {"1": "0", "2": "0", "23": "2", "295": "1", "296": "23", "817": "296", "818": "296"}
    files: Files = {}
    lists: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    boxes = []
    for number in range(12):
        image = str(uuid.UUID(int=number * 7919))
        node = ("295", "817", "818")[number % 3]
        path = f"{node.zfill(4)}/{image.replace('-', '')}.jpg"
        files[f"images/{path}"] = photo(number)
        lists["images"].append(f"{image} {path}")
        lists["image_class_labels"].append(f"{image} {node}")
        lists["train_test_split"].append(f"{image} {int(number % 4 > 0)}")
        boxes.append(f"{image} 2 3 10 11")
    texts = {**lists, "bounding_boxes": boxes}
    texts["classes"] = [f"{node} {name}" for node, name in nodes.items()]
    texts["hierarchy"] = [f"{child} {parent}" for child, parent in parents.items()]
    files |= {f"{name}.txt": _lines(text) for name, text in texts.items()}
    return {"nabirds.tar.gz": archive({f"nabirds/{name}": data for name, data in files.items()})}


def aircraft() -> Files:
    planes = [("737-700", "Boeing 737", "Boeing"), ("F/A-18", "F/A-18", "McDonnell Douglas")]
    planes.append(("737-800", "Boeing 737", "Boeing"))
    files: Files = {}
    boxes = []
    lists: dict[str, list[str]] = {}
    for number in range(18):
        image, split = f"{1_000_000 + number:07d}", ("train", "val", "test")[number // 3 % 3]
        pixels = np.zeros((60, 40, 3), np.uint8)
        pixels[:40, :, 0] = 200
        pixels[40:] = 255  # the banner
        files[f"images/{image}.jpg"] = _saved(Image.fromarray(pixels), "JPEG", quality=95)
        boxes.append(f"{image} 1 3 40 38")
        lists.setdefault(f"images_{split}", []).append(image)
        for level, name in zip(
            ("variant", "family", "manufacturer"), planes[number % 3], strict=True
        ):
            lists.setdefault(f"images_{level}_{split}", []).append(f"{image} {name}")
    lists["variants"] = [variant for variant, _, _ in planes]
    lists["families"] = ["Boeing 737", "F/A-18"]
    lists["manufacturers"] = ["Boeing", "McDonnell Douglas"]
    lists["images_box"] = boxes
    files |= {f"{name}.txt": _lines(text) for name, text in lists.items()}
    inside = {f"fgvc-aircraft-2013b/data/{name}": data for name, data in files.items()}
    return {"fgvc-aircraft-2013b.tar.gz": archive(inside | {"fgvc-aircraft-2013b/README.md": b"#"})}


def cars() -> Files:
    names = ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]
    kit: Files = {"devkit/cars_meta.mat": mat(class_names=cells(names, column=False))}
    found: dict[str, Files] = {}
    records = {}
    for part, count in (("train", 10), ("test", 4)):
        images = {f"cars_{part}/{n:05d}.jpg": photo(n) for n in range(1, count + 1)}
        images[f"cars_{part}/00002.jpg"] = photo(2, "CMYK" if part == "train" else "L")
        found[part] = images
        records[part] = [(3, 4, 20, 18, n % 2 + 1, f"{n:05d}.jpg") for n in range(1, count + 1)]
    kit["devkit/cars_train_annos.mat"] = mat(annotations=_structs(records["train"], True))
    kit["devkit/cars_test_annos.mat"] = mat(annotations=_structs(records["test"], False))
    kit["devkit/README.txt"] = b"Cars Dataset\n"
    return {
        "car_devkit.tgz": archive(kit),
        "cars_train.tgz": archive(found["train"]),
        "cars_test.tgz": archive(found["test"]),
        "cars_test_annos_withlabels.mat": mat(annotations=_structs(records["test"], True)),
    }


def dogs() -> Files:
    breeds = ["n02085620-Chihuahua", "n02099429-curly-coated_retriever"]
    images: Files = {}
    notes: Files = {}
    lists: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for number in range(14):
        breed = breeds[number % 2]
        path = f"{breed}/{breed.partition('-')[0]}_{2933 + number}"
        odd = number == 0  # the one PNG among the JPEGs
        images[f"Images/{path}.jpg"] = photo(number, "RGBA", "PNG") if odd else photo(number)
        objects = [(2, 3, 12, 13)] + ([(5, 1, 20, 9)] if number == 1 else [])
        notes[f"Annotation/{path}"] = _voc(path, objects)
        lists["test" if number > 9 else "train"].append((f"{path}.jpg", number % 2 + 1))
    mats = {f"{part}_list.mat": _dog_list(rows) for part, rows in lists.items()}
    mats["file_list.mat"] = _dog_list(lists["train"] + lists["test"])
    return {
        "images.tar": archive(images, ""),
        "annotation.tar": archive(notes, ""),
        "lists.tar": archive(mats, ""),
    }


def pets() -> Files:
    breeds = [("Abyssinian", 1, 1, 1), ("american_bulldog", 2, 2, 1), ("Egyptian_Mau", 3, 1, 2)]
    images: Files = {"images/Abyssinian_100.mat": mat(junk=np.zeros(3))}
    notes: Files = {"annotations/README": b"OXFORD-IIIT PET Dataset\n"}
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    for number in range(15):
        breed, index, species, within = breeds[number % 3]
        name = f"{breed}_{number + 98}"
        images[f"images/{name}.jpg"] = photo(number)
        notes[f"annotations/trimaps/{name}.png"] = _trimap((24, 20))
        notes[f"annotations/trimaps/._{name}.png"] = b"\0\5\x16\7Mac OS X"
        lists["test" if number > 8 else "trainval"].append(f"{name} {index} {species} {within}")
    images["images/Egyptian_Mau_100.jpg"] = photo(2, "P", "GIF")
    damaged = images["images/american_bulldog_99.jpg"]
    images["images/american_bulldog_99.jpg"] = damaged[: len(damaged) // 3]
    for name, rows in lists.items():
        notes[f"annotations/{name}.txt"] = _lines(rows)
    header = ["#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids"]
    notes["annotations/list.txt"] = _lines(header + lists["trainval"] + lists["test"])
    return {"images.tar.gz": archive(images), "annotations.tar.gz": archive(notes)}


def flowers() -> Files:
    count = 3 * FLOWERS
    labels = np.array([[number % FLOWERS + 1 for number in range(count)]], dtype=np.uint8)
    tiny = photo(0, size=(8, 8))
    numbers = np.arange(1, count + 1, dtype=np.uint16)[None]
    return {
        "102flowers.tgz": archive({f"jpg/image_{n:05d}.jpg": tiny for n in range(1, count + 1)}),
        "imagelabels.mat": mat(labels=labels),
        "setid.mat": mat(
            trnid=numbers[:, :FLOWERS],
            valid=numbers[:, FLOWERS : 2 * FLOWERS],
            tstid=numbers[:, 2 * FLOWERS :],
        ),
    }


def food() -> Files:
    dishes = {"apple_pie": "Apple pie", "croque_madame": "Croque madame"}
    files: Files = {"README.txt": b"Food-101", "license_agreement.txt": b"..."}
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number in range(12):
        path = f"{list(dishes)[number % 2]}/{1_005_649 + number}"
        files[f"images/{path}.jpg"] = photo(number)
        lists["test" if number > 7 else "train"].append(path)
    texts = {**lists, "classes": list(dishes), "labels": list(dishes.values())}
    files |= {f"meta/{name}.txt": _lines(text) for name, text in texts.items()}
    files["meta/train.json"] = b"{}"
    return {"food-101.tar.gz": archive({f"food-101/{name}": data for name, data in files.items()})}


MINIATURES: dict[str, Callable[[], Files]] = {
    "cub-200-2011": cub,
    "nabirds": nabirds,
    "fgvc-aircraft": aircraft,
    "stanford-cars": cars,
    "stanford-dogs": dogs,
    "oxford-iiit-pet": pets,
    "flowers-102": flowers,
    "food-101": food,
}


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _lines(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def _mask(bird: int, size: tuple[int, int]) -> bytes:
    """The middle is ``bird``, a ring around it what one person in five called bird."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[4:-4, 4:-4] = 51
    pixels[6:-6, 6:-6] = bird
    return _saved(Image.fromarray(pixels), "PNG")


def _trimap(size: tuple[int, int]) -> bytes:
    pixels = np.full(size[::-1], 2, np.uint8)
    pixels[4:-4, 4:-4] = 3
    pixels[6:-6, 6:-6] = 1
    return _saved(Image.fromarray(pixels), "PNG")


def _structs(rows: list[tuple[Any, ...]], labelled: bool) -> np.ndarray:
    """A 1×N struct array of annotations, as MATLAB saves one."""
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    kept = [field for field in fields if labelled or field != "class"]
    found = np.empty((1, len(rows)), dtype=[(field, object) for field in kept])
    for column, row in enumerate(rows):
        for field, value in zip(fields, row, strict=True):
            if field in kept:
                plain = value if isinstance(value, str) else np.array([[value]], np.uint8)
                found[0, column][field] = plain
    return found


def _dog_list(rows: list[tuple[str, int]]) -> bytes:
    names = [name for name, _ in rows]
    return mat(
        file_list=cells(names),
        annotation_list=cells([name.removesuffix(".jpg") for name in names]),
        labels=np.array([[label] for _, label in rows], dtype=np.uint8),
    )


def _voc(path: str, objects: list[tuple[int, int, int, int]]) -> bytes:
    folder, name = path.split("/")
    found = "".join(
        "\t<object>\n\t\t<name>dog</name>\n\t\t<bndbox>\n"
        f"\t\t\t<xmin>{left}</xmin>\n\t\t\t<ymin>{top}</ymin>\n"
        f"\t\t\t<xmax>{right}</xmax>\n\t\t\t<ymax>{bottom}</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n"
        for left, top, right, bottom in objects
    )
    return (
        f"<annotation>\n\t<folder>{folder[1:9]}</folder>\n\t<filename>{name}</filename>\n"
        f"\t<size>\n\t\t<width>24</width>\n\t\t<height>20</height>\n\t</size>\n{found}</annotation>"
    ).encode()
