"""Drills of the landing: faults in the lander, the broker and the network between them."""
