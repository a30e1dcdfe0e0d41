"""The page of an exported student in a real browser: it answers as the engine does, offline."""

from __future__ import annotations

import base64
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from app.config import PROJECT
from dait.bundle.graph import export_onnx
from dait.bundle.preprocess import labels_of, preprocessing
from dait.bundle.web.build import web_page
from dait.bundle.web.runtime import Runtime
from dait.data.images.decode import decode_image
from dait.evaluation.evaluate import stored_familiarity
from dait.evaluation.records import classes_around
from dait.evaluation.unlike import UnlikeScore
from dait.evidence.heatmaps.cam import explain
from dait.models.checkpoint import load_network
from dait.runs.data import recipe_of
from dait.runs.folder import RunFolder
from dait.storage.paths import ASSETS

pytestmark = pytest.mark.slow

RUN = RunFolder(ASSETS / "runs" / "demo" / "dait-s0")
GROCERIES = Path(os.environ.get("DAIT_GROCERY", PROJECT.parent / "shared" / "data" / "grocery"))
ANSWER = """async ([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const { image, answer } = await window.student.classify(new File([bytes], name, { type }));
  const map = window.student.activationMap(answer, answer.top[0][0]);
  return { pixels: Array.from(image.data), top: answer.top, unlike: answer.unlike,
           map: Array.from(map.data), rows: map.rows };
}"""


@dataclass(frozen=True)
class Exported:
    page: Path
    labels: list[str]


@pytest.fixture(scope="module")
def exported(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("page")
    network = load_network(RUN.student).network
    labels = labels_of(classes_around(RUN.path))
    how = preprocessing(network, recipe_of(RUN).data.framing)
    score = UnlikeScore(stored_familiarity(RUN)["student"])
    unlike = {"threshold": score.threshold}
    graph = folder / "model.onnx"
    export_onnx(network, graph, {"labels": labels}, score)
    html = web_page(
        graph.read_bytes(), labels, how, unlike, runtime, title="Birds of <the> guide", top1=0.32
    )
    (folder / "index.html").write_text(html, encoding="utf-8")
    graph.unlink()
    return Exported(folder / "index.html", labels)


def drawn(seed: int, width: int, height: int) -> Image.Image:
    """A smooth picture of many colours with sharp edges."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    picture = rough.resize((width, height), Image.Resampling.BICUBIC)
    for _ in range(6):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        patch = Image.new(
            "RGB", (width // 5, height // 7), tuple(map(int, rng.integers(0, 255, 3)))
        )
        picture.paste(patch, (x, y))
    return picture


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def photographs() -> list[tuple[str, str, bytes]]:
    """Twenty photographs, real ones where they are at hand: name, type, bytes."""
    found = [
        (file.name, "image/jpeg", file.read_bytes())
        for file in sorted(GROCERIES.glob("test/*/*.jpg"))[:: 2485 // 9][:9]
    ]
    turned = ImageOps.exif_transpose(drawn(50, 300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    found.append(("turned.jpg", "image/jpeg", encoded(turned, "JPEG", exif=exif)))
    found.append(("wide.png", "image/png", encoded(drawn(51, 700, 100), "PNG")))
    found.append(("tiny.png", "image/png", encoded(drawn(52, 40, 33), "PNG")))
    found.append(("grey.png", "image/png", encoded(drawn(53, 200, 130).convert("L"), "PNG")))
    found.append(("large.jpg", "image/jpeg", encoded(drawn(54, 1601, 1203), "JPEG", quality=92)))
    found.append(("odd.webp", "image/webp", encoded(drawn(55, 333, 257), "WEBP", lossless=True)))
    while len(found) < 20:
        number = len(found)
        picture = drawn(number, 150 + 17 * number, 400 - 9 * number)
        found.append((f"{number}.jpg", "image/jpeg", encoded(picture, "JPEG", quality=90)))
    return found


def open_page(browser: Any, exported: Exported, **options: Any) -> tuple[Any, list[str], list[str]]:
    """The page from the disk, without a network; its messages, and addresses that it asked for."""
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(exported.page.as_uri())
    page.get_by_role("status").filter(has_text="Ready").wait_for(timeout=120_000)
    return page, said, asked


def test_it_answers_as_the_engine_on_twenty_photographs(browser: Any, exported: Exported) -> None:
    page, said, asked = open_page(browser, exported)
    network = load_network(RUN.student).network
    known = stored_familiarity(RUN)["student"]
    framing = recipe_of(RUN).data.framing
    exact = 0
    for name, kind, data in photographs():
        found = page.evaluate(ANSWER, [name, kind, base64.b64encode(data).decode()])
        pixels = decode_image(data, framing)
        theirs = np.array(found["pixels"], np.uint8).reshape(pixels.shape)
        apart = np.abs(theirs.astype(int) - pixels)
        # Large JPEGs are decoded smaller by Pillow; browsers decode them whole.
        assert apart.mean() < (3 if name == "large.jpg" else 0.5), name
        exact += int(not apart.any())
        print(f"{name}: mean {apart.mean():.4f}, largest {apart.max()}")  # for whoever looks at -s
        # Given the same pixels, everything else is the same.
        images = torch.from_numpy(theirs.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            output = network(images)
        shares = output.logits[0].softmax(0)
        top = shares.topk(5)
        assert [label for label, _ in found["top"]] == top.indices.tolist(), name
        np.testing.assert_allclose([p for _, p in found["top"]], top.values, atol=1e-4)
        assert found["unlike"] == bool(known.unlike(output.pooled.numpy())[0]), name
        ours = explain(network, images, top.indices[:1], "gradcam").raw[0].numpy()
        map_ = np.array(found["map"]).reshape(found["rows"], -1)
        if ours.max() > 0:  # up to a factor: Grad-CAM of a linear head divides by the map's size
            np.testing.assert_allclose(map_ / map_.max(), ours / ours.max(), atol=1e-3)
        with torch.no_grad():
            engine = network(
                torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
            ).logits[0]
        if name != "large.jpg":
            assert int(engine.argmax()) == found["top"][0][0], name
    assert exact >= 15
    assert (
        said == []
        and [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    )
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_photograph_is_chosen_on_a_phone(
    browser: Any, exported: Exported, tmp_path: Path, scheme: str
) -> None:
    page, said, _ = open_page(
        browser, exported, viewport={"width": 390, "height": 844}, color_scheme=scheme
    )
    assert page.get_by_role("heading").inner_text() == "Birds of <the> guide"
    strange = tmp_path / "strange.jpg"
    strange.write_bytes(encoded(drawn(7, 500, 400), "JPEG"))
    page.locator("#choose").set_input_files(strange)
    first = page.locator("#top button").first
    first.wait_for()
    assert first.get_attribute("aria-pressed") == "true"
    assert page.locator("#top button").count() == 5
    assert re.search(r"\d %", first.inner_text())
    name = first.locator("span").inner_text()
    assert name in exported.labels
    assert page.get_by_role("alert").is_visible()  # no bird, and it says so
    assert page.locator("#legend").inner_text().endswith(f"{name}.")
    shown = page.locator("#seen").screenshot()
    page.get_by_label("Show where it looks").uncheck()
    assert (
        page.locator("#seen").screenshot() != shown and page.locator("#legend").inner_text() == ""
    )
    page.get_by_label("Show where it looks").check()
    second = page.locator("#top button").nth(1)
    second.focus()
    page.keyboard.press("Enter")
    assert second.get_attribute("aria-pressed") == "true"
    assert second.locator("span").inner_text() in page.locator("#legend").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)

    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photograph")
    page.locator("#choose").set_input_files(bad)
    page.get_by_role("status").filter(has_text="bad.jpg cannot be read").wait_for()
    assert not page.locator("#answer").is_visible()
    page.locator("#choose").set_input_files(strange)
    page.get_by_role("status").filter(
        has_text=re.compile("median of 2 photographs: .+ ms")
    ).wait_for()
    assert said == []
    page.context.close()
