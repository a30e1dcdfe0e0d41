"""The Data tab: what can be trained on, and what is in it."""
