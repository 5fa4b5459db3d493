"""Whose a process is: by recorded id and start time, group, session, tag and descent."""

from dataclasses import replace

from koboshi.stack.process_table import Process, ours

NOBODY: frozenset[int] = frozenset()
PARENT = Process(pid=10, parent=1, group=10, session=5, ticks=100, state="S")
CHILD = Process(pid=11, parent=10, group=11, session=11, ticks=110, state="S")
STRANGER = Process(pid=20, parent=1, group=20, session=20, ticks=120, state="S")


def table(*processes: Process) -> dict[int, Process]:
    return {process.pid: process for process in processes}


def test_a_recorded_process_and_its_descendants_are_ours() -> None:
    """A child with a group and a session of its own is found by descent."""
    assert ours(table(PARENT, CHILD, STRANGER), [(10, 100)], "tag", NOBODY) == {10, 11}


def test_an_id_that_was_given_to_somebody_else_is_not_ours() -> None:
    """The start time tells a recorded process from a later one of the same id."""
    later = replace(PARENT, ticks=999)
    assert ours(table(later, CHILD), [(10, 100)], "tag", NOBODY) == set()


def test_the_group_and_the_session_of_a_dead_leader_are_ours() -> None:
    """What a killed supervisor's parts left behind has their group, though their parent is gone."""
    in_group = replace(STRANGER, pid=21, group=10)
    in_session = replace(STRANGER, pid=22, group=22, session=10)
    assert ours(table(in_group, in_session, STRANGER), [(10, 100)], "tag", NOBODY) == {21, 22}


def test_the_tag_finds_what_has_left_group_and_session() -> None:
    """And only the tag of this stack: another clone's parts are left alone."""
    mine, theirs = replace(STRANGER, tag="mine"), replace(CHILD, parent=1, tag="theirs")
    assert ours(table(mine, theirs), [], "mine", NOBODY) == {20}


def test_the_caller_is_never_in_it() -> None:
    """`koboshi down` from a task of the stack does not end itself."""
    assert ours(table(PARENT, CHILD), [(10, 100)], "tag", frozenset({11})) == {10}
