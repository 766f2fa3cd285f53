"""Detector: frames to verdicts. The models, their training and evaluation, and the service that runs them."""
