"""What the PLC says at an exposure: a part's number, or the conveyor's count."""
