"""What koboshi tells the program in front of the replicas, and what it hears from it."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Front:
    """The layout of a gateway: its port, the port of its administration, and the ports of its replicas by name.

    With `by_name` each replica is a host of its name, as in containers, and the gateway listens to their network.
    """

    listen: int
    admin: int
    replicas: Mapping[str, int]
    by_name: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """A replica as the gateway sees it: whether it gets requests, and how many tries on it have failed."""

    healthy: bool
    troubles: int
