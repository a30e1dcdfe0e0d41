"""Several arms and seeds of one recipe in one folder.

``plan`` lists the runs; ``context`` opens what they share; ``train`` trains a study, all runs in
one process or one task at a time (``ray_executor``: on a Ray cluster); ``run`` is one run and
``stage`` one of its networks, which ``dait.training.loop`` trains. ``lock`` keeps a second process
away, ``description`` and ``moved`` check data and teacher, ``reuse`` and ``provenance`` share
intermediate teachers between studies.
"""
