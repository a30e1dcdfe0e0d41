"""DAIT: distil a vision-language model into a small classifier via an intermediate teacher."""

__version__ = "0.1.0"
