"""The published benchmarks, one small module each: what it is, where it is, how it is read.

Every module of this package with a ``BENCHMARK`` is a data set; it is registered by that alone.
"""
