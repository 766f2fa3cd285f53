"""Evaluation: what a model finds and misses on labelled pictures."""
