"""The detector: how suspicion grows with silence, and what it learns from arrivals."""

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.heartbeat.watch import Arrivals, Rhythm, phi, suspicious

RHYTHM = Rhythm()
JITTER_S = 1.0  # a beat may be late by two intervals and never be suspected
INTERVALS = st.lists(st.floats(0.0, 3.0), max_size=300)


def after(intervals: list[float], rhythm: Rhythm = RHYTHM) -> Arrivals:
    arrivals = Arrivals.first(0.0, rhythm)
    for at in accumulate(intervals):
        arrivals = arrivals.then(at, rhythm)
    return arrivals


def suspected_after(arrivals: Arrivals, rhythm: Rhythm = RHYTHM) -> float:
    """The shortest suspicious silence, to the millisecond."""
    return next(s / 1000 for s in range(100_000) if suspicious(arrivals, arrivals.last_s + s / 1000, rhythm))


@given(INTERVALS, st.floats(0.0, 60.0), st.floats(0.0, 60.0))
def test_suspicion_never_falls_during_a_silence(intervals: list[float], one: float, other: float) -> None:
    arrivals, (sooner, later) = after(intervals), sorted((one, other))
    assert phi(arrivals, arrivals.last_s + sooner, RHYTHM) <= phi(arrivals, arrivals.last_s + later, RHYTHM)
    if suspicious(arrivals, arrivals.last_s + sooner, RHYTHM):
        assert suspicious(arrivals, arrivals.last_s + later, RHYTHM)


@given(INTERVALS, st.floats(0.0, 60.0))
def test_a_beat_ends_every_suspicion(intervals: list[float], silence: float) -> None:
    arrivals = after(intervals)
    now = arrivals.last_s + silence
    assert not suspicious(arrivals.then(now, RHYTHM), now, RHYTHM)
    assert phi(arrivals.then(now, RHYTHM), now, RHYTHM) < 1.0


@given(st.lists(st.floats(0.0, JITTER_S), min_size=1, max_size=300))
def test_regular_beats_with_jitter_are_never_suspected(late: list[float]) -> None:
    arrivals = Arrivals.first(0.0, RHYTHM)
    for at in sorted(number * RHYTHM.interval_s + jitter for number, jitter in enumerate(late, 1)):
        assert not suspicious(arrivals, at, RHYTHM)
        arrivals = arrivals.then(at, RHYTHM)


@given(INTERVALS)
def test_whatever_was_heard_before_a_silence_is_suspected_within_five_beats(intervals: list[float]) -> None:
    """And half a second is left to act on it: the promise is five beats and half a second."""
    arrivals = after(intervals)
    assert suspicious(arrivals, arrivals.last_s + 5 * RHYTHM.interval_s + 1e-9, RHYTHM)


# A silence of just five beats is suspicious or not by a rounding, which is not the same at every scale.
BEATS_S = st.floats(0.1, 3.0).filter(lambda seconds: abs(seconds - RHYTHM.longest_s) > 1e-6)


@given(st.floats(0.05, 10.0), st.lists(BEATS_S, max_size=30))
def test_all_scales_with_the_interval(scale: float, beats: list[float]) -> None:
    slower = Rhythm(interval_s=RHYTHM.interval_s * scale)
    one, other = after(beats), after([interval * scale for interval in beats], slower)
    assert phi(one, one.last_s + 1.3, RHYTHM) == pytest.approx(phi(other, other.last_s + 1.3 * scale, slower), rel=1e-4)


def test_at_a_beat_there_is_none_and_people_read_it_so() -> None:
    arrivals = after([0.5] * 20)
    assert f"{phi(arrivals, arrivals.last_s, RHYTHM):.1f}" == "0.0"


def test_from_the_first_beat_on_silence_is_suspicious() -> None:
    assert 2.0 < suspected_after(after([])) < 2.5


def test_steady_beats_are_missed_sooner_than_restless_ones() -> None:
    steady, restless = after([0.5] * 100), after([0.35, 0.65] * 50)
    assert suspected_after(steady) == pytest.approx(0.5 + 1.0 + 5.61 * 0.1, abs=0.01)
    assert suspected_after(steady) < suspected_after(restless) < 2.5


def test_a_suspicious_silence_is_not_learnt_as_the_rhythm() -> None:
    steady = after([0.5] * 50)
    assert after([*[0.5] * 50, 60.0]).intervals == steady.intervals
    assert after([*[0.5] * 50, 1.5]).intervals == (*steady.intervals, 1.5)


def test_only_the_window_counts() -> None:
    assert len(after([0.5] * 1000).intervals) == RHYTHM.window
    assert after([*[1.2] * 1000, *[0.5] * RHYTHM.window]).mean_s == pytest.approx(0.5)


@pytest.mark.parametrize(("deviations", "expected"), [(0.0, 0.5), (1.6448536, 0.05), (5.6120012, 1e-8)])
def test_phi_is_the_improbability_of_a_later_beat(deviations: float, expected: float) -> None:
    """Against the normal distribution's own quantiles."""
    arrivals = after([0.5] * 100)
    now = arrivals.last_s + 1.5 + deviations * 0.1
    assert 10 ** -phi(arrivals, now, RHYTHM) == pytest.approx(expected, rel=1e-4)


def test_phi_goes_on_where_the_probability_underflows() -> None:
    arrivals = after([0.5] * 100)
    near, far = (phi(arrivals, arrivals.last_s + 1.5 + 0.1 * deviations, RHYTHM) for deviations in (29.999, 30.001))
    assert near < far < near + 0.1
    assert math.isfinite(phi(arrivals, 1e6, RHYTHM))
