"""Faults that are really sent and prove that they took: signals, silent networks, flipped bytes."""
