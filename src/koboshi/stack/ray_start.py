"""`python -m koboshi.stack.ray_start start …`: `ray start`, kept on 127.0.0.1 where that is the node's address.

Ray replaces 127.0.0.1 by the host's address, so that a laptop's cluster would listen to its network.
"""

import functools
import sys
import time
from typing import Any

import ray._private.ray_constants
import ray._private.services
import ray.util
from ray._private.node import Node
from ray.scripts.scripts import main

LOOPBACK = "127.0.0.1"
REGISTERED_WITHIN_S = 120.0


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


def be_patient_with_the_raylet() -> None:
    """Give a node time to register where cores are busy: Ray gives up after 30 s, and a second try comes no sooner."""
    look = ray._private.services.get_node

    def get_node(gcs_address: str, node_id: str) -> Any:
        deadline = time.monotonic() + REGISTERED_WITHIN_S
        while True:
            try:
                return look(gcs_address, node_id)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    ray._private.services.get_node = get_node


if __name__ == "__main__":
    if LOOPBACK in sys.argv:
        stay_local()
    leave_out_remote_drivers()
    take_no_node_for_a_head()
    be_patient_with_the_raylet()
    main()
