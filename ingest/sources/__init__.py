"""Where pictures come from: one port, one adapter a file."""
