"""What drills of every layer are made of: faults that prove that they took, things of their own, witnesses."""
