"""Benchmarks of speed: a model by itself, a whole line around it, and others' programs beside it."""
