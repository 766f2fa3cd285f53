"""The fault campaign: a whole system as processes on loopback, faults by a schedule, and an audit from outside."""
