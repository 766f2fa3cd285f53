"""Measurements of the stream: replicas whose engine costs a fixed time, real servers, and cameras on schedule."""
