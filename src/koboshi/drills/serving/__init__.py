"""Drills of serving: faults in replicas, versions, the gateway and the network to a replica, under load."""
