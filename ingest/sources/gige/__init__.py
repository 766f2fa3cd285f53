"""GigE Vision cameras, through Aravis."""
