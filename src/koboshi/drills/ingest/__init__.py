"""Drills of the landing: the lander, the broker and the network between them are struck."""
