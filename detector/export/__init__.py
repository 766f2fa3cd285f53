"""A model's graph for other engines, kept beside the model once it was shown to judge alike.

engines/NAME/           in the model's folder
    graph.*             what the engine reads
    engine.toml         which model and engine it is of, and what the gate measured
    checksums.txt       sha256 of all the others
"""
