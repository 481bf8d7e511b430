"""What travels with a cell: which names, how each, and the bytes that are sent for them."""
