"""The Explore tab: what a study's frozen teacher knows."""
