"""Who is to be replaced, and why: from beats that the test makes up, at times that it makes up."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.heartbeat import Arrival, Beat, Rhythm, Suspicion, Watch, progress_limit_s
from koboshi.heartbeat.beat import Doing

RHYTHM = Rhythm()
STEP = Doing("forest", 3, "step")


def beat(at: float, state: str = "R", cpu_s: float = 0.0, worker: str = "w", doing: Doing = STEP) -> Arrival:
    return Arrival(Beat(worker, doing, state, cpu_s, at), at)


def watch_of(*workers: str) -> Watch:
    watch = Watch(RHYTHM, 0.0)
    for worker in workers or ("w",):
        watch.add(worker)
    return watch


def until(watch: Watch, start: float, end: float, **facts: object) -> list[Suspicion]:
    """A beat each half second, and a look at each."""
    told: list[Suspicion] = []
    for number in range(int(start * 2), int(end * 2) + 1):
        told += watch.look([beat(number / 2, **facts)], number / 2)  # type: ignore[arg-type]
    return told


def first_told(watch: Watch, start: float, end: float, **facts: object) -> tuple[float, Suspicion]:
    """When a suspicion is first told, by looks each 0.1 s; beats come if facts of them are given."""
    for tenth in range(int(start * 10), int(end * 10)):
        now = tenth / 10
        arrivals = [beat(now, **facts)] if facts and tenth % 5 == 0 else []  # type: ignore[arg-type]
        if found := watch.look(arrivals, now):
            return now, found[0]
    raise AssertionError(f"nobody was suspected until {end} s")


def test_a_worker_that_was_never_heard_is_still_starting() -> None:
    """Its start has a time limit of its own, in the pool."""
    watch = watch_of()
    for now in range(100):
        assert watch.look([], float(now)) == []


def test_a_step_has_its_limit_also_where_no_beat_gets_through() -> None:
    watch = watch_of()
    watch.began("w", "forest", 1, 30.0, 0.0)
    now, suspicion = first_told(watch, 0, 50)
    assert (now, suspicion.cause) == (30.0, "no progress")
    assert "never heard" in suspicion.evidence


def test_silence_is_suspected_within_five_beats() -> None:
    watch = watch_of()
    assert until(watch, 0, 10) == []
    now, suspicion = first_told(watch, 10, 20)
    assert (suspicion.worker, suspicion.cause) == ("w", "silent")
    assert 11.5 < now <= 10 + 5 * RHYTHM.interval_s
    assert "no beat for" in suspicion.evidence


def test_a_stopped_process_is_suspected_although_it_beats() -> None:
    """The sender beside it is not stopped."""
    watch = watch_of()
    until(watch, 0, 10)
    now, suspicion = first_told(watch, 10.5, 20, state="T")
    assert suspicion.cause == "stopped"
    assert now <= 10 + 5 * RHYTHM.interval_s


def test_a_moment_in_a_debugger_is_forgiven() -> None:
    watch = watch_of()
    for second in range(20):
        assert watch.look([beat(second, state="T")], second) == []
        assert watch.look([beat(second + 0.5)], second + 0.5) == []


def test_a_process_that_is_gone_is_told_at_once() -> None:
    watch = watch_of()
    until(watch, 0, 10)
    assert [s.cause for s in watch.look([beat(10.1, state="X")], 10.1)] == ["dead"]


def test_a_step_that_takes_longer_than_its_limit_is_suspected_although_it_beats() -> None:
    watch = watch_of()
    until(watch, 0, 10, cpu_s=7.0)
    watch.began("w", "forest", 3, 30.0, 10.0)
    now, suspicion = first_told(watch, 10.5, 50, state="S", cpu_s=7.0)
    assert (now, suspicion.cause) == (40.0, "no progress")
    for fact in ("step 3 of forest", "30.0 s of 30.0 s", "phase step", "state S", "0.0 s of processor time"):
        assert fact in suspicion.evidence


def test_a_legitimate_step_of_a_minute_in_c_is_not_suspected() -> None:
    watch = watch_of()
    until(watch, 0, 10)
    watch.began("w", "forest", 3, progress_limit_s(step_limit_s=300.0, longest_step_s=20.0), 10.0)
    for number in range(21, 141):
        now = number / 2
        assert watch.look([beat(now, cpu_s=now)], now) == []
    watch.ended("w")
    assert until(watch, 71, 1000) == []


def test_the_limit_follows_the_longest_step() -> None:
    assert progress_limit_s(60.0, 5.0) == 60.0
    assert progress_limit_s(60.0, 50.0) == 150.0


def test_each_worker_is_judged_for_itself() -> None:
    watch = watch_of("a", "b")
    for number in range(40):
        now = number / 2
        arrivals = [beat(now, worker="a"), *([beat(now, worker="b")] if now < 10 else [])]
        told = watch.look(arrivals, now)
    assert [s.worker for s in told] == ["b"]
    assert watch.seen("a", 19.5)[-1] < 1 < watch.seen("b", 19.5)[-1]
    watch.remove("b")
    assert watch.look([beat(20.0, worker="a"), beat(20.0, worker="b")], 20.0) == []
    assert watch.seen("b", 99.0) == (None, None, 0.0)


def test_who_did_not_listen_does_not_blame_the_workers() -> None:
    """A driver that stood still for a minute may have lost beats: silences are counted from its return."""
    watch = watch_of()
    until(watch, 0, 10)
    assert watch.look([], 70.0) == []
    now, suspicion = first_told(watch, 70.1, 80)
    assert suspicion.cause == "silent"
    assert now <= 70 + 5 * RHYTHM.interval_s


def test_a_late_old_beat_says_nothing() -> None:
    watch = watch_of()
    watch.look([beat(1.0)], 1.0)
    late = dataclasses.replace(beat(0.5, state="X"), at_s=1.5)
    assert watch.look([late], 1.5) == []
    assert watch.seen("w", 1.5)[:2] == (beat(1.0).beat, 0.5)


def test_an_order_for_a_worker_that_was_removed_is_nothing() -> None:
    watch = watch_of()
    watch.remove("w")
    watch.began("w", "forest", 1, 1.0, 0.0)
    watch.ended("w")
    assert watch.look([], 10.0) == []


TEXT = st.text(max_size=8)


@given(
    st.builds(
        Beat,
        worker=TEXT,
        doing=st.builds(Doing, TEXT, st.integers(0, 9), TEXT),
        state=st.sampled_from("RSDTX"),
        cpu_s=st.floats(0, 1e6),
        at_s=st.floats(0, 1e9),
    ),
    st.text("0123456789abcdef", min_size=1),
)
def test_a_beat_survives_the_wire_and_no_other_secret_reads_it(sent: Beat, secret: str) -> None:
    assert Beat.from_bytes(sent.to_bytes(secret), secret) == sent
    assert Beat.from_bytes(sent.to_bytes(secret), secret + "0") is None


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"{}", b'{"secret": "s"}', b'{"v": 2, "secret": "s"}', b'{"v": 1, "secret": "s"}']
)
def test_what_is_no_beat_is_not_heard(data: bytes) -> None:
    assert Beat.from_bytes(data, "s") is None
