"""Drills of datasets: bytes rot where DVC and the lander keep them."""
