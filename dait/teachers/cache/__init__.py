"""The frozen teacher's embeddings of augmented views, kept on disk.

``view_set`` is the folder on disk; ``build`` computes what is missing, alone or with other
processes; ``inventory`` lists and prunes; ``check`` recomputes a sample.
"""
