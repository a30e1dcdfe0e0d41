"""The Paper tab: the argument of the paper, with the figures of this app's own studies."""
