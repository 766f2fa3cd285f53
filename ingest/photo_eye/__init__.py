"""The photo-eye's independent path to the PLC: the port and its adapters."""
