"""A holder that has ended is told from one that lives, sleeps, or is somebody else's (liveness; safety is I3's)."""

import os
from pathlib import Path

import pytest

from koboshi.ledger import leases
from koboshi.ledger.leases import is_dead, this_process


def test_another_process_with_the_same_id_is_not_mistaken_for_it() -> None:
    process, machine = this_process().split("@")
    host, pid, start = process.split(":")
    assert is_dead(f"{host}:{pid}:{int(start) - 1}@{machine}")
    assert not is_dead(f"{host}:{pid}:{int(start) - 1}@00000000-1")


@pytest.mark.parametrize("name", ["us", "host-1:42", "host:999999:0123abcd", ""])
def test_of_a_name_of_another_make_nothing_is_known(name: str) -> None:
    assert not is_dead(name)


def test_another_users_process_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    name = this_process()
    monkeypatch.setattr(os, "kill", refuse)
    assert not is_dead(name)


def test_where_the_kernel_does_not_tell_nobody_is_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on macOS: then a lease runs out, as it does for another machine's holder."""
    monkeypatch.setattr(leases, "PROC", tmp_path)
    assert not is_dead(this_process())
