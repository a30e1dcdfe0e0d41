"""Its being here lets the tests below import ``colours``."""
