"""Backbones: the two frozen halves of an open_clip model. Nothing else in the project imports open_clip."""
