"""Drills of training: workers, nodes, the head and the driver are struck, checkpoints rot."""
