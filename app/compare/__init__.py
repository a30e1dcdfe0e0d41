"""The Compare tab: one study's networks side by side."""
