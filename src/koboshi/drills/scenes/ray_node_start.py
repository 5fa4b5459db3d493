"""`python -m koboshi.drills.scenes.ray_node_start start …`: a node beside the stack's, which keeps its address to itself.

`ray start` notes the head's address, as it was told to this node, where the drivers of later jobs look for it. A node that
reaches the head through a proxy would send them there, also when the proxy is long gone.
"""

import ray._private.utils
from ray.scripts.scripts import main

from koboshi.stack.ray_start import stay_local, take_no_node_for_a_head


def note_no_address(_address: str, _folder: str | None = None) -> None:
    """In the place of `write_ray_address`."""


if __name__ == "__main__":
    ray._private.utils.write_ray_address = note_no_address
    stay_local()
    take_no_node_for_a_head()
    main()
