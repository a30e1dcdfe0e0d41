"""The diagram of who teaches whom."""
