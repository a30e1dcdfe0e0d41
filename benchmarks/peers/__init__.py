"""What the product is put beside: the same work by the tools that its users would take instead."""
