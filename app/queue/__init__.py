"""Trainings: ordered, waiting, running, done; and what the page shows of them."""
