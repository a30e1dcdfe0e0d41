"""A trained student as a file to take away."""
