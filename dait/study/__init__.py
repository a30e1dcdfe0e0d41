"""Several arms and seeds of one recipe in one folder.

``plan`` says which runs there are, ``whole`` trains them one after the other (``run_study``),
``task`` one of them at a time, and ``ray_executor`` all of them on a Ray cluster. ``run`` is one
run, ``claim`` keeps a second process away from it, ``facts`` is what ``study.json`` says beside the
plan, ``ending`` how work ended.
"""
