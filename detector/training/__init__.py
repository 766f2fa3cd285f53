"""Training: from a folder of good pictures to a model artifact."""
