"""`python -m koboshi.stack.ray_start start …`: `ray start`, kept on 127.0.0.1 where that is the node's address.

Ray replaces 127.0.0.1 by the host's address, so that a laptop's cluster would listen to its network.
"""

import functools
import sys

import ray._private.ray_constants
import ray._private.services
import ray.util
from ray._private.node import Node
from ray.scripts.scripts import main

LOOPBACK = "127.0.0.1"


def stay_local() -> None:
    """Let this process take 127.0.0.1 for the node's address."""
    ray._private.services.get_node_ip_address = lambda _address=None: LOOPBACK
    ray.util.get_node_ip_address = ray._private.services.get_node_ip_address
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = True


def leave_out_remote_drivers() -> None:
    """Start no server for drivers that are not of the cluster: jobs are submitted."""
    Node.start_ray_client_server = lambda _node: None


def take_no_node_for_a_head() -> None:
    """Let a head start while nodes of its predecessor are still there.

    Ray looks for a running head by the address in any process's arguments, and nodes name it too: they outlive a head
    that was killed by a minute or more. Whether there is a head already is the supervisor's business, and the port's.
    """
    ray._private.services.find_gcs_addresses = functools.cache(set)


if __name__ == "__main__":
    if LOOPBACK in sys.argv:
        stay_local()
    leave_out_remote_drivers()
    take_no_node_for_a_head()
    main()
