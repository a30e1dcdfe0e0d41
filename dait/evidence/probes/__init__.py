"""What a frozen teacher knows, and what of it can be read from the networks of a study.

``results``: the figures, typed, and the file that keeps them; ``new_birds``: drawings that no
training has seen; ``words``: zero-shot figures with sentences; ``probes``: what a linear readout
finds in features; ``measure``: all of it for a teacher or a study, kept.
"""
