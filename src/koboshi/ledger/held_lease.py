"""Holding a lease for as long as some work takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from koboshi.errors import LeaseTaken
from koboshi.ledger import leases
from koboshi.ledger.database import Ledger
from koboshi.ledger.leases import Lease

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
            self.lease = leases.renew(self._ledger, self.lease, self._ttl_s)


@contextmanager
def holding(ledger: Ledger, name: str, holder: str, ttl_s: float, wait_s: float = 0.0) -> Iterator[HeldLease]:
    """Hold a lease while the block runs; wait up to `wait_s` for another holder, then raise `LeaseTaken`.

    Under a crash of the holder the lease runs out after `ttl_s`, and the next one gets it under a newer token.
    """
    held = HeldLease(ledger, _acquired(ledger, name, holder, ttl_s, wait_s), ttl_s)
    try:
        yield held
    finally:
        leases.release(ledger, held.lease)


def _acquired(ledger: Ledger, name: str, holder: str, ttl_s: float, wait_s: float) -> Lease:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return leases.acquire(ledger, name, holder, ttl_s)
        except LeaseTaken:
            if time.monotonic() >= deadline:
                raise
            time.sleep(ASK_S)
