"""The frozen teacher's embeddings of augmented views, kept on disk.

``view_set`` is what is kept and where; ``build`` fills it, ``share`` divides that between
processes; ``inventory`` lists and prunes, ``check`` recomputes a sample.
"""
