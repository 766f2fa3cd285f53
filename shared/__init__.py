"""What every role shares: words, messages, clock, settings, bus and store. Imports no role, and no torch."""
