"""`python -m koboshi.drills.scenes.ray_node_start start …`: a node beside the stack's, which notes no address.

`ray start` notes the head's address, as this node was told it, where the drivers of later jobs look for it. A node
that reaches the head through a proxy would send them there, also when the proxy is long gone.
"""

import ray._private.utils
from ray.scripts.scripts import main

from koboshi.stack.ray_start import (
    be_patient_with_the_raylet,
    leave_out_remote_drivers,
    stay_local,
    take_no_node_for_a_head,
)


def note_no_address(_address: str, _folder: str | None = None) -> None:
    """In the place of `write_ray_address`."""


if __name__ == "__main__":
    ray._private.utils.write_ray_address = note_no_address
    stay_local()
    leave_out_remote_drivers()
    take_no_node_for_a_head()
    be_patient_with_the_raylet()
    main()
