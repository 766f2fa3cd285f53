"""The live store: one port, with an adapter for Redis and one inside this process."""
