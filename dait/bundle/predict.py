"""Name what photographs show: ``python predict.py IMAGE...``

Needs onnxruntime, numpy and Pillow, and ``model.onnx`` beside it, which holds the class names and
says how images are prepared. Prints a line of JSON an image: ``file``; ``top``, the most probable
classes as ``[label, probability]``; ``unlike``, whether it is unlike anything trained on. A file
that is no image is named on standard error, the others are predicted, and the exit code is 2.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import ExifTags, Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 64_000_000
TOP = 5


def load_image(file: str | Path, how: dict) -> np.ndarray:
    """A photograph as ``(3, S, S)`` float32 RGB in [0, 1]; ``how`` is preprocess.json."""
    with Image.open(file, formats=FORMATS) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} × {height} pixels; at most {MAX_PIXELS:,} are read")
        image: Image.Image = to_8_bits(opened)
        least = 2 * min(scaled(width, height, how))
        image.draft(None, (least, least))  # a JPEG is decoded at a half, quarter or eighth
        image.load()
        try:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            image = ImageOps.exif_transpose(image)
        except Exception:  # broken EXIF says nothing
            turned = False
        across, down = scaled(*((height, width) if turned else (width, height)), how)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        box = kept(*image.size, how)
        small = image.resize((across, down), Image.Resampling.BICUBIC, box=box)
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, (*how["background"], 255))
        small = Image.alpha_composite(white, small).convert("RGB")
    size = how["size"]
    left, top = (across - size) // 2, (down - size) // 2
    if how["fit"] == "letterbox":
        square = Image.new("RGB", (size, size), tuple(how["bars"]))
        square.paste(small, (-left, -top))
        small, left, top = square, 0, 0
    pixels = np.asarray(small)[top : top + size, left : left + size]
    return pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def kept(width: int, height: int, how: dict) -> tuple[float, float, float, float]:
    """The part of an upright image that is used: left, top, right, bottom."""
    if how["fit"] == "letterbox":
        return 0, 0, width, height
    most = min(width, height) * (1 if how["fit"] == "square" else how["max_ratio"])
    across, down = min(width, most), min(height, most)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def scaled(width: int, height: int, how: dict) -> tuple[int, int]:
    """Width and height of that part in pixels after scaling, before the centre is cut out."""
    left, top, right, bottom = kept(width, height, how)
    across, down = right - left, bottom - top
    given = max(across, down) if how["fit"] == "letterbox" else min(across, down)
    side = how["short_side"]
    return max(1, round(across * side / given)), max(1, round(down * side / given))


def to_8_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits or floats, scaled by the fewest of 8, 10, 12, ... bits they need."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    most, bits = values.max(), 8
    while most >= 2**bits:
        bits += 2
    if bits == 16 and values.dtype.itemsize == 2:
        grey = (values >> 8).astype(np.uint8)
    else:
        white = 1 if image.mode == "F" and most <= 1 else 2**bits - 1
        grey = (values.astype(np.float32) * (255 / white)).clip(0, 255).round().astype(np.uint8)
    small = Image.fromarray(grey)
    small.info["exif"] = image.getexif().tobytes()
    return small


def main(files: list[str]) -> int:
    """Predict, print a line for each, and give the exit code."""
    if not files:
        print("usage: python predict.py IMAGE...", file=sys.stderr)
        return 2
    model = Path(__file__).with_name("model.onnx")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    known = session.get_modelmeta().custom_metadata_map
    labels, how, unlike = (json.loads(known[key]) for key in ("labels", "preprocess", "unlike"))
    outputs = ["logits", "unlike"] if unlike else ["logits"]
    code = 0
    for file in files:
        try:
            image = load_image(file, how)
        except Exception as error:  # readers of images raise nearly anything on damaged bytes
            print(f"predict.py: {file} cannot be read as an image: {error}", file=sys.stderr)
            code = 2
            continue
        logits, *score = (found[0] for found in session.run(outputs, {"image": image[None]}))
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        top = [[labels[k], float(shares[k])] for k in np.argsort(-shares, kind="stable")[:TOP]]
        strange = bool(unlike) and bool(score[0] > unlike["threshold"])
        print(json.dumps({"file": file, "top": top, "unlike": strange}, ensure_ascii=False))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
