"""The published benchmarks, one small module each: what it is, where it is, how it is read.

A module with a ``BENCHMARK`` in this package is a data set; nothing else has to be told.
"""
