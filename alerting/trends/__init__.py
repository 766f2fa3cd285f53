"""Trends of a line: rates with their limits, drift of scores, where defects lie, delays. Pure, but for `reading`."""
