"""A part's log, from its last lines on: none is lost, and none is shown twice."""

from pathlib import Path

import pytest

from koboshi.stack.lifecycle import TAIL_BYTES, last_lines, new_lines


def test_a_line_that_is_written_while_the_last_ones_are_shown_is_shown_next(tmp_path: Path) -> None:
    """`koboshi logs PART -f` may be slow on a busy machine, and the part writes on."""
    log = tmp_path / "part.log"
    log.write_text("one\ntwo\n")
    lines, position = last_lines(log)
    with log.open("a") as file:
        file.write("three\nfour\n")
    over = iter((False, True))
    assert lines == ["one", "two"]
    assert list(new_lines(log, position, lambda: next(over))) == ["three", "four"]


@pytest.mark.parametrize("count", [0, 1, 3, 5_000])
def test_as_many_last_lines_are_shown_as_were_asked_for(tmp_path: Path, count: int) -> None:
    """Also more than the usual 20 kB hold; and no more than there are."""
    log = tmp_path / "part.log"
    written = [f"line {number}" for number in range(TAIL_BYTES)]
    log.write_text("".join(f"{line}\n" for line in written))
    assert last_lines(log, count) == (written[len(written) - count :], log.stat().st_size)
    log.write_text("one\ntwo, without an end")
    assert last_lines(log, count)[0] == ["one", "two, without an end"][2 - min(count, 2) :]


def test_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    """And a log that is begun anew is read from its beginning."""
    log = tmp_path / "part.log"
    log.write_text("".join(f"line {number}\n" for number in range(TAIL_BYTES)))
    lines, position = last_lines(log)
    assert lines[0].startswith("line ")
    assert (lines[-1], position) == (f"line {TAIL_BYTES - 1}", log.stat().st_size)
    log.write_text("anew\n")
    over = iter((False, True))
    assert list(new_lines(log, position, lambda: next(over))) == ["anew"]
