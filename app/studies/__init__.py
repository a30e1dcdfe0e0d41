"""The studies that the page lists: entries, tickets, and what is to be trained."""
