"""A report on studies and runs: one page that needs nothing else, and its figures for machines.

``inputs.py`` gathers what is known, a module a section writes it down, ``page.py`` makes the page
of it and ``record.py`` the JSON; ``whole.py`` is all of it in one call.
"""
