"""Its being here lets the tests below import ``colours`` and ``hub_server``."""
