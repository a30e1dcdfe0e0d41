"""The images that a visitor has selected in the Compare tab."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from dait.errors import UserError

ImageRef = tuple[str, Any]
"""``("test", index)`` or ``("upload", path)``."""
ImageRefs = tuple[ImageRef, ...]

MAX_ROWS = 6
"""Images below each other; each row costs a heatmap of every network."""

Result = TypeVar("Result")


class Selection:
    """One visitor's selected images of every study, in order.

    Changed in place, so that a handler that started before a change and ends after it sees the
    change and does not bring the earlier images back. A handler of one study that ends after
    another study was opened leaves the images of that one alone.
    """

    def __init__(self) -> None:
        self._images: dict[str, ImageRefs] = {}

    def of(self, study: str) -> ImageRefs:
        """The selected images of this study; empty if there are none."""
        return self._images.get(study, ())

    def set(self, study: str, *images: ImageRef) -> None:
        """Select these images of a study, and no others."""
        self._images[study] = images

    def with_image(self, study: str, image: ImageRef, keep: bool) -> ImageRefs:
        """The selection with ``image`` added, or the image alone unless ``keep``.

        Raises ``UserError`` if there are ``MAX_ROWS`` already.
        """
        before = self.of(study) if keep else ()
        if image in before:
            return before
        if len(before) == MAX_ROWS:
            raise UserError(
                f"At most {MAX_ROWS} images are shown below each other. Remove one, or clear ‘Keep "
                "earlier rows’."
            )
        return (*before, image)

    def narrow(self, study: str, matching: Collection[int], first: int | None, keep: bool) -> None:
        """Of the selected images only those that match, or ``first`` if none does.

        matching: test images by index. first: None if nothing matches. keep: no image goes, and
        ``first`` is added if none matches.

        Raises ``UserError`` if it cannot be added.
        """
        chosen = self.of(study)
        fitting = [ref for ref in chosen if ref[0] == "test" and ref[1] in matching]
        if not keep:
            chosen = tuple(fitting)
        if not fitting and first is not None:
            chosen = self.with_image(study, ("test", first), keep)
        self.set(study, *chosen)

    def drop_uploads(self, study: str) -> bool:
        """Without the visitor's own photographs; whether there was one."""
        images = self.of(study)
        kept = tuple(ref for ref in images if ref[0] != "upload")
        self.set(study, *kept)
        return kept != images

    def remove(self, study: str, position: object) -> None:
        """Remove the image at ``position``; the last one stays."""
        images = self.of(study)
        if isinstance(position, int) and 0 <= position < len(images) > 1:
            self.set(study, *images[:position], *images[position + 1 :])

    def compute(self, study: str, function: Callable[[ImageRefs], Result]) -> Result:
        """``function`` of the selected images; computed again if they change meanwhile."""
        while True:
            images = self.of(study)
            result = function(images)
            if self.of(study) == images:
                return result
