"""Open comparisons of finished studies, shared by several tabs."""
