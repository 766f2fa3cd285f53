"""The models, and nothing but the models: no event loop, no bus. `base` is the port and imports no torch."""
