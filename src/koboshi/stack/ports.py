"""One block of ports for each stack, so that two stacks never meet; kept as long as it is free."""

import dataclasses
import json
import socket
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from koboshi.errors import NotConfigured
from koboshi.files import publish_bytes
from koboshi.stack.paths import StackPaths

LOOPBACK = "127.0.0.1"
BLOCK = 100
USED_OFFSETS = BLOCK  # all of them, so that a part that is added finds free ones
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """Every address of a stack. Ports are counted from the first one of its block.

    On one machine all parts are on 127.0.0.1. With `by_name`, as in containers, each is a host of its own, which is
    called like the part, and listens to their network.
    """

    base: int
    by_name: bool = False

    def at(self, offset: int) -> int:
        """The port at an offset below `USED_OFFSETS`."""
        if not 0 <= offset < USED_OFFSETS:
            raise ValueError(f"offset {offset} is outside of the block")
        return self.base + offset

    @property
    def listen(self) -> str:
        """The address that a part listens on for the others."""
        return "0.0.0.0" if self.by_name else LOOPBACK  # noqa: S104 (a network of the containers' own)

    def address(self, part: str, offset: int) -> str:
        """`host:port` of a part for the others."""
        return f"{part if self.by_name else LOOPBACK}:{self.at(offset)}"


def choose_base(
    wanted: int,
    kept: int | None,
    claimed: frozenset[int],
    first_ephemeral: int,
    is_free: Callable[[int], bool],
) -> int:
    """The first block, from `kept` then `wanted` upwards, that no other stack claims and whose ports are all free."""
    candidates: list[int] = [*([kept] if kept else []), *range(wanted, first_ephemeral - BLOCK + 1, BLOCK)]
    for base in candidates:
        if base not in claimed and all(is_free(port) for port in range(base, base + USED_OFFSETS)):
            return base
    raise NotConfigured(
        f"no free block of {BLOCK} ports between {wanted} and {first_ephemeral}: "
        "stop another stack, or set [stack] base_port lower."
    )


def claim_block(paths: StackPaths, wanted: int) -> Ports:
    """Take a block and remember it, in the state folder (so that addresses stay) and for other stacks to see.

    One at a time: the lock is held until the claim can be seen.
    """
    with FileLock(paths.runtime.parent / "ports.lock"):
        base = choose_base(wanted, kept_base(paths), _claims_of_others(paths), first_ephemeral_port(), is_free)
        (paths.runtime / "base_port").write_text(str(base))
    publish_bytes(paths.own / "ports.json", json.dumps({"base": base}).encode())
    return Ports(base)


def kept_base(paths: StackPaths) -> int | None:
    """The block that this state folder had last."""
    path = paths.own / "ports.json"
    return int(json.loads(path.read_text())["base"]) if path.is_file() else None


def _claims_of_others(paths: StackPaths) -> frozenset[int]:
    others = [claim for claim in paths.runtime.parent.glob("*/base_port") if claim.parent != paths.runtime]
    return frozenset(int(claim.read_text() or 0) for claim in others if _is_living(claim.with_name("state_dir")))


def _is_living(state_dir: Path) -> bool:
    return state_dir.is_file() and Path(state_dir.read_text()).is_dir()


def first_ephemeral_port() -> int:
    """Where the kernel begins to hand out ports by itself: a block above could be taken by any client."""
    return int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.is_file() else 32_768


def is_free(port: int) -> bool:
    """Whether nobody listens on the port, on 127.0.0.1 or on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
