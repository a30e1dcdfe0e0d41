"""The Train tab: its form, what it costs, what it would train."""
