"""Leases with fencing tokens (Kleppmann, "How to do distributed locking", 2016).

A lease says who *should* act; the token says who *may* commit. Tokens of a name only grow, and each commit checks its
token inside its own transaction: a holder that slept past its lease can still write files, but decides nothing (I3).
"""

import dataclasses
import time

import sqlalchemy as sa

from koboshi.errors import Fenced, LeaseTaken
from koboshi.ledger.database import Ledger, LedgerConnection
from koboshi.ledger.holders import is_dead
from koboshi.ledger.tables import leases, versions

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

    That of a process of this machine which has ended is free at once, if it was taken by the name that it has in
    `holders`: nobody has to wait for it to run out.
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
    with ledger.snapshot() as connection:
        row = connection.execute(sa.select(leases).where(leases.c.name == name)).one_or_none()
    return row is not None and row.expires_at > time.time() and not is_dead(row.holder)


def check(connection: LedgerConnection, lease: Lease) -> None:
    """The guard of every commit, inside its transaction: raise `Fenced` unless this is the newest token (I3)."""
    newest = connection.execute(_NEWEST_TOKEN, {"lease": lease.name}).scalar()
    if newest != lease.token:
        raise Fenced(f"{lease.name} was taken over (token {newest}, ours is {lease.token}): this process stops here.")


def _next_token(connection: LedgerConnection, last: int) -> int:
    """Above the last one of this name, and above all that were given before the ledger was rebuilt or restored."""
    first: int = connection.execute(sa.select(versions.c.first_token)).scalar_one()
    return max(last + 1, first)
