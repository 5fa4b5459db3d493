"""A lease is kept as long as its block runs, given back at its end, and lost to whoever takes it over (I3)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi.errors import Fenced, LeaseTaken
from koboshi.ledger import Ledger, leases
from koboshi.ledger.leases import holding

HOUR_S = 3600.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def test_given_back_at_the_end_also_after_an_error(ledger: Ledger) -> None:
    """The next one does not have to wait for it to run out."""
    with pytest.raises(ZeroDivisionError), holding(ledger, "work", "a", HOUR_S):
        _ = 1 / 0
    with holding(ledger, "work", "b", HOUR_S) as held:
        assert held.lease.token == 2


def test_renewed_when_a_third_of_its_time_is_gone_and_not_before(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holding(ledger, "work", "a", HOUR_S) as held:
        first, now = held.lease.expires_at, time.time()
        held.keep()
        assert held.lease.expires_at == first
        monkeypatch.setattr(time, "time", lambda: now + HOUR_S * 0.4)
        held.keep()
        assert held.lease.expires_at == now + HOUR_S * 1.4


def test_fenced_when_somebody_took_it_over(ledger: Ledger) -> None:
    with holding(ledger, "work", "a", 0.0) as held:
        leases.acquire(ledger, "work", "b", HOUR_S)
        with pytest.raises(Fenced, match="taken over"):
            held.keep()
    with pytest.raises(LeaseTaken):
        leases.acquire(ledger, "work", "c", HOUR_S)


def test_waits_for_a_dead_holder_as_long_as_it_is_told_to(ledger: Ledger) -> None:
    leases.acquire(ledger, "work", "dead", 0.3)
    with pytest.raises(LeaseTaken), holding(ledger, "work", "b", HOUR_S):
        pass
    with holding(ledger, "work", "b", HOUR_S, wait_s=30) as held:
        assert held.lease.holder == "b"
