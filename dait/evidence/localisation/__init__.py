"""Do networks look at the object, and at the parts that tell it from its relatives?

``scores`` judges maps by masks, ``faithfulness`` by what happens to the answer when pixels are
taken away; ``measure`` does both over a study and keeps what it found.
"""
