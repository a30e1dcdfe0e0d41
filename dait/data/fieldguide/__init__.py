"""The Field Guide: a drawn world of fine-grained birds whose truth is known."""

from dait.data.fieldguide.dataset import FieldGuide, FieldGuideOptions, open_fieldguide, record

__all__ = ["FieldGuide", "FieldGuideOptions", "open_fieldguide", "record"]
