"""The message bus: one port, the in-process adapter and the Kafka adapter."""
