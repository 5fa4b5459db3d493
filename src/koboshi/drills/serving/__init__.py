"""Drills of serving: replicas, versions, the gateway and the network to a replica are struck under load."""
