"""Drills of training: faults in workers, nodes, the head, the driver and checkpoints."""
