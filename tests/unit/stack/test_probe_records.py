"""Who asks a part what, and when; and how long an answer counts."""

from pathlib import Path

import pytest

from koboshi.probes import Health
from koboshi.stack import probe_records
from koboshi.stack.probe_records import (
    EVERY_S,
    ILL_EVERY_S,
    SETTLED_S,
    STALE_S,
    WORK_EVERY_S,
    ProbeRecord,
    Question,
    ago,
    is_stale,
    question,
)

NOW = 1_000_000.0
STARTED = NOW - 10_000


def record(
    ended_s_ago: float, *, ok: bool = True, asked: Question = "work", worked_s_ago: float | None = None
) -> ProbeRecord:
    """A probe that took a second."""
    worked_at = None if worked_s_ago is None else NOW - worked_s_ago
    return ProbeRecord(ok, "did it" if ok else "did not", NOW - ended_s_ago - 1, 1.0, asked, worked_at)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, "work"),
        (record(EVERY_S - 1), None),
        (record(EVERY_S), "work"),
        (record(ILL_EVERY_S - 1, ok=False), None),
        (record(ILL_EVERY_S, ok=False), "work"),
        (record(NOW - STARTED + 1), "work"),
    ],
)
def test_a_part_is_asked_for_work_now_and_then_and_more_often_while_it_does_none(
    before: ProbeRecord | None, expected: str | None
) -> None:
    assert question(before, STARTED, NOW, can_look=False) == expected


def test_an_answer_of_the_process_before_does_not_count() -> None:
    """The probe began before the new start, whatever it ended with."""
    assert question(record(1.0), NOW - 1.5, NOW, can_look=False) == "work"
    assert question(record(1.0), NOW - 2.5, NOW, can_look=False) is None


@pytest.mark.parametrize(
    ("before", "started_s_ago", "expected"),
    [
        (None, SETTLED_S - 1, "look"),
        (None, SETTLED_S, "work"),
        (record(EVERY_S, asked="look"), SETTLED_S + 100, "work"),
        (record(EVERY_S, worked_s_ago=60.0), 1_000, "look"),
        (record(EVERY_S, asked="look", worked_s_ago=WORK_EVERY_S), 10_000, "work"),
        (record(EVERY_S, asked="look", worked_s_ago=2_000), 1_000, "work"),  # of before the start
        (record(ILL_EVERY_S, ok=False, asked="look", worked_s_ago=60), 1_000, "look"),
        (record(ILL_EVERY_S, ok=False, asked="work", worked_s_ago=WORK_EVERY_S), 10_000, None),
        (record(EVERY_S, ok=False, asked="work", worked_s_ago=WORK_EVERY_S), 10_000, "work"),
    ],
)
def test_where_a_look_is_cheaper_work_is_asked_for_seldom_and_not_while_the_part_starts(
    before: ProbeRecord | None, started_s_ago: float, expected: str | None
) -> None:
    """Nor again and again when it fails."""
    assert question(before, NOW - started_s_ago, NOW, can_look=True) == expected


@pytest.mark.parametrize(
    ("before", "started_s_ago", "expected"),
    [
        (None, STALE_S + 1, True),
        (None, STALE_S - 1, False),
        (record(STALE_S + 1), 10_000, True),
        (record(STALE_S - 1), 10_000, False),
        (record(STALE_S + 1), 5, False),
    ],
)
def test_an_old_answer_is_nobodys_when_the_prober_is_gone(
    before: ProbeRecord | None, started_s_ago: float, expected: bool
) -> None:
    assert is_stale(before, NOW - started_s_ago, NOW) is expected


def test_a_look_keeps_when_real_work_succeeded_last_and_says_so() -> None:
    worked = probe_records.answer(lambda: Health(True, "a task run"))
    assert (worked.worked_at, worked.health()) == (worked.at, Health(True, "a task run", worked.at))
    looked = probe_records.answer(lambda: Health(True, "2 nodes"), worked, "look")
    assert looked.worked_at == worked.at
    assert looked.health().detail == "2 nodes; real work 0 s ago"
    assert (
        probe_records.answer(lambda: Health(True, "2 nodes"), None, "look").health().detail.endswith("no real work yet")
    )
    failed = probe_records.answer(lambda: Health(False, "no task"), looked)
    assert (failed.ok, failed.worked_at, failed.health().detail) == (False, worked.at, "no task")


def test_records_are_read_as_they_were_written_and_what_is_none_is_left_out(tmp_path: Path) -> None:
    """Also one of a version to come; and they are gone with the stack."""
    written = {"kafka": record(1), "ray": record(2, ok=False, asked="look", worked_s_ago=9.5)}
    probe_records.write(tmp_path, written)
    for name, text in {"half": '{"ok": tr', "other": '{"ok": true}', "list": "[]", "later": '{"more": 1}'}.items():
        (tmp_path / "probes" / f"{name}.json").write_text(text)
    assert probe_records.read(tmp_path) == written
    probe_records.forget(tmp_path)
    assert probe_records.read(tmp_path) == {}
    assert list((tmp_path / "probes").iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (-3, "0 s"), (99, "99 s"), (100, "1 min"), (5_999, "99 min"), (7_200, "2 h")]
)
def test_an_age_is_short(seconds: float, said: str) -> None:
    assert ago(NOW - seconds, NOW) == said
