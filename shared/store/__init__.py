"""The live store: one port, and its Redis adapter, which also serves the embedded in-process store."""
