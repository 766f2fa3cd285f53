"""Defects that nobody has seen yet: made from good pictures, so that a model can learn to find the abnormal."""
