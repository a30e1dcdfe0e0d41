"""Files that mark the object of an image: a grey value a pixel, some of which mean the object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dait.data.images.decode import FORMATS, BadImage
from dait.data.images.frame import Frame


def decode_mask(file: Path, frame: Frame, values: tuple[int, ...]) -> np.ndarray:
    """``(S, S)`` uint8, 1 on the object: the mask cut and scaled as its image was.

    values: the grey values that mean the object (of an image with a coloured palette, the palette's
    indices). Raises ``BadImage`` for a file that is missing, damaged or not of the image's size.
    """
    name = f"‘{file.name}’"
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.size != (frame.width, frame.height):
                found, wanted = "{} × {}".format(*image.size), f"{frame.width} × {frame.height}"
                raise BadImage(f"is {found} pixels, its image {wanted}", name)
            marks = np.isin(_grey(image), values).astype(np.uint8)
    except BadImage:
        raise
    except FileNotFoundError as error:
        raise BadImage("is missing", name) from error
    except Image.UnidentifiedImageError as error:
        raise BadImage("is not an image", name) from error
    except Exception as error:  # Pillow's readers raise nearly anything on damaged bytes
        raise BadImage(f"is damaged ({str(error) or type(error).__name__})", name) from error
    return frame.place_mask(marks)


def _grey(image: Image.Image) -> np.ndarray:
    if image.mode == "P":
        colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        if (colours != colours[:, :1]).any():
            return np.asarray(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    return np.asarray(image.convert("L"))
