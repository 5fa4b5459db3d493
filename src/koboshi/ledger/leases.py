"""Leases with fencing tokens (Kleppmann, "How to do distributed locking", 2016), held for as long as some work takes.

A lease says who *should* act; the token says who *may* commit. Tokens of a name only grow, and each commit checks its
token inside its own transaction: a holder that slept past its lease can still write files, but decides nothing (I3).

A holder is a process, `host:pid:start@machine`: the start time (clock ticks since boot) tells a process from a later
one with its id, the machine's boot and the namespace of its ids tell whether an id means anything here. So on the same
machine it can be told whether a holder's process is still there.
"""

import dataclasses
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from koboshi.errors import Fenced, LeaseTaken
from koboshi.ledger.database import Ledger, LedgerConnection
from koboshi.ledger.tables import leases, versions

PROC = Path("/proc")
_NAME = re.compile(r".*:(?P<pid>\d+):(?P<start>\d+)@(?P<machine>\S+)")
_DEAD = "ZX"


def this_process() -> str:
    """The name under which this process holds leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start(os.getpid())}@{_machine()}"


def new_holder() -> str:
    """A name for this process under which it has never held a lease: two of its threads cannot share one."""
    return f"{uuid.uuid4().hex[:8]}.{this_process()}"


def is_dead(holder: str) -> bool:
    """Whether a holder has ended for sure: it was a process of this machine, and is not there any more.

    False for every other name. A wrong answer would only cost work: whoever is taken for dead is fenced.
    """
    named = _NAME.fullmatch(holder)
    if named is None or not _machine() or named["machine"] != _machine():
        return False
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _start(int(named["pid"])) != int(named["start"])


def _machine() -> str:
    """The boot and the namespace of process ids; empty where the kernel does not tell."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{(PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _start(pid: int) -> int:
    """When a process began, in clock ticks since boot; 0 when it has ended, also when nobody has asked for its end."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()  # the name before may itself hold spaces and brackets
    return 0 if fields[0] in _DEAD else int(fields[19])


_NEWEST_TOKEN = sa.select(leases.c.token).where(leases.c.name == sa.bindparam("lease"))


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """What a holder carries from acquisition to each commit."""

    name: str
    holder: str
    token: int
    expires_at: float


def acquire(ledger: Ledger, name: str, holder: str, ttl_s: float) -> Lease:
    """Take a lease that is free, expired or our own already, under a new token; else raise `LeaseTaken`.

    That of a process of this machine which has ended is free at once, if it was taken by the name that `this_process`
    gave it: nobody has to wait for it to run out.
    """
    with ledger.transaction() as connection:
        now = time.time()
        row = connection.execute(sa.select(leases).where(leases.c.name == name)).one_or_none()
        if row is not None and row.holder != holder and row.expires_at > now and not is_dead(row.holder):
            raise LeaseTaken(f"{name} is held by {row.holder} for {row.expires_at - now:.0f} s more: try again then.")
        lease = Lease(name, holder, _next_token(connection, row.token if row else 0), now + ttl_s)
        connection.execute(leases.delete().where(leases.c.name == name))
        connection.execute(leases.insert().values(**dataclasses.asdict(lease)))
    return lease


def renew(ledger: Ledger, lease: Lease, ttl_s: float) -> Lease:
    """Extend a lease; raise `Fenced` when somebody took it meanwhile."""
    renewed = dataclasses.replace(lease, expires_at=time.time() + ttl_s)
    with ledger.transaction() as connection:
        check(connection, lease)
        connection.execute(leases.update().where(leases.c.name == lease.name).values(expires_at=renewed.expires_at))
    return renewed


def release(ledger: Ledger, lease: Lease) -> None:
    """Let the next one in at once; the token stays, so that it only grows. Does nothing if the lease was lost."""
    with ledger.transaction() as connection:
        connection.execute(
            leases.update().where(leases.c.name == lease.name, leases.c.token == lease.token).values(expires_at=0.0)
        )


def is_held(ledger: Ledger, name: str) -> bool:
    """Whether somebody holds a lease just now, as far as one can tell."""
    return any(
        row.expires_at > time.time() and not is_dead(row.holder)
        for row in ledger.rows(sa.select(leases).where(leases.c.name == name))
    )


def check(connection: LedgerConnection, lease: Lease) -> None:
    """The guard of every commit, inside its transaction: raise `Fenced` unless this is the newest token (I3)."""
    newest = connection.execute(_NEWEST_TOKEN, {"lease": lease.name}).scalar()
    if newest != lease.token:
        raise Fenced(f"{lease.name} was taken over (token {newest}, ours is {lease.token}): this process stops here.")


def _next_token(connection: LedgerConnection, last: int) -> int:
    """Above the last one of this name, and above all that were given before the ledger was rebuilt or restored."""
    first: int = connection.execute(sa.select(versions.c.first_token)).scalar_one()
    return max(last + 1, first)


ASK_S = 0.2
KEPT_SHARE = 2 / 3  # renewed once less than that of its time is left, so that two renewals may come late


class HeldLease:
    """A lease with its newest expiry: hand `lease` to each commit, and call `keep` on the way."""

    def __init__(self, ledger: Ledger, lease: Lease, ttl_s: float) -> None:
        """See `holding`, which acquires and releases."""
        self._ledger, self._ttl_s = ledger, ttl_s
        self.lease = lease

    def keep(self) -> None:
        """Renew when it is time; raises `Fenced` when somebody took it over."""
        if self.lease.expires_at - time.time() < self._ttl_s * KEPT_SHARE:
            self.lease = renew(self._ledger, self.lease, self._ttl_s)


@contextmanager
def holding(ledger: Ledger, name: str, holder: str, ttl_s: float, wait_s: float = 0.0) -> Iterator[HeldLease]:
    """Hold a lease while the block runs; wait up to `wait_s` for another holder, then raise `LeaseTaken`.

    Under a crash of the holder the lease runs out after `ttl_s`, and the next one gets it under a newer token.
    """
    held = HeldLease(ledger, _acquired(ledger, name, holder, ttl_s, wait_s), ttl_s)
    try:
        yield held
    finally:
        release(ledger, held.lease)


def _acquired(ledger: Ledger, name: str, holder: str, ttl_s: float, wait_s: float) -> Lease:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return acquire(ledger, name, holder, ttl_s)
        except LeaseTaken:
            if time.monotonic() >= deadline:
                raise
            time.sleep(ASK_S)
