"""Signals to the outside: the port to a gate's PLC and its adapters."""
