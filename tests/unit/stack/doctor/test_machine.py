"""What a machine has to give, and what is said where it does not."""

from pathlib import Path

import pytest

from koboshi.stack.doctor import anything_wrong
from koboshi.stack.doctor.machine import (
    GIB,
    NEEDED,
    OF_TESTS,
    cgroup_limit,
    cores,
    disk,
    findings,
    free_memory,
    needed_tools,
    tools_of_tests,
    total_memory,
    where,
)


def test_a_small_machine_is_told_what_it_can_do_all_the_same() -> None:
    """One processor and little free memory make it slower; less memory than the stack takes stops it."""
    assert [cores(2).verdict, free_memory(4 * GIB).verdict, total_memory(4 * GIB).verdict] == ["ok"] * 3
    assert [cores(1).verdict, free_memory(1).verdict, total_memory(4 * GIB - 1).verdict] == ["note", "note", "wrong"]
    assert "koboshi up kafka mlflow" in total_memory(1).remedy


def test_a_disk_without_room_is_named_with_the_room_that_is_needed() -> None:
    """As `koboshi up` refuses it."""
    assert disk(3 * GIB, Path("/d")).verdict == "ok"
    full = disk(2 * GIB, Path("/d"))
    assert (full.verdict, full.found) == ("wrong", "2.0 GiB are free under /d")
    assert "KOBOSHI_STATE_DIR" in full.remedy


def test_a_container_has_the_memory_of_its_limit(tmp_path: Path) -> None:
    """And all of the machine's where it has none."""
    limit = tmp_path / "memory.max"
    assert cgroup_limit(7, limit) == 7
    limit.write_text("max\n")
    assert cgroup_limit(7, limit) == 7
    limit.write_text("5\n")
    assert cgroup_limit(7, limit) == 5


def test_a_tool_that_verbs_call_is_wrong_where_it_is_absent_and_one_of_tests_is_not() -> None:
    """So that CI's image may be smaller than a developer's machine."""
    none = dict.fromkeys((*NEEDED, *OF_TESTS))
    every = dict.fromkeys(none, "/bin/x")
    assert anything_wrong(needed_tools(none))
    assert not anything_wrong(needed_tools(every))
    absent = tools_of_tests({**every, "wrk": None, "strace": None})
    assert (absent.verdict, absent.found) == ("note", "no strace, wrk")
    assert tools_of_tests(every).verdict == "ok"


def test_what_is_not_well_says_what_to_do(tmp_path: Path) -> None:
    """On this machine, whatever it has; a state folder that is not there yet is no obstacle."""
    for finding in findings(tmp_path / "not" / "there"):
        assert finding.found
        assert bool(finding.remedy) == (finding.verdict != "ok")


def test_debians_postgresql_is_found_beside_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("koboshi.stack.doctor.machine.DEBIAN_POSTGRESQL", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert where("postgres") is None
    (tmp_path / "17" / "bin").mkdir(parents=True)
    (tmp_path / "17" / "bin" / "postgres").touch()
    assert where("postgres") == f"{tmp_path}/17/bin/postgres"
