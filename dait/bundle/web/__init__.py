"""One HTML file that runs an exported student in its reader's own browser."""
