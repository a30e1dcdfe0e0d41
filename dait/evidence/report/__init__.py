"""A report on studies and runs: one self-contained page, and its figures as JSON.

``inputs.py`` evaluates the runs and opens the studies, one module writes each section,
``page.py`` renders them with ``page.html``, and ``build.py`` calls all of it.
"""
