"""The other side of the gate's handshake: a simulated conveyor, gate and PLC."""
