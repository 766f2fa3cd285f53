"""Which part an exposure shows: its number, the numbers that were missed before it, or that it is no new part."""
