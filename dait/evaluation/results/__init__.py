"""Figures that were measured once and are stored with a study: their files, and what they hold."""
