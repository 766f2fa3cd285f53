"""Cameras as somebody who sets up a line meets them: what is there, what it sends, what is wrong with it."""
