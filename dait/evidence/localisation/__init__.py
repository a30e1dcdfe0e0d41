"""Do networks look at the object, and at the parts that tell it from its relatives?

``scores`` compares maps with masks, ``faithfulness`` removes pixels and reads the change of the
prediction; ``measure`` does both over a study and keeps what it found.
"""
