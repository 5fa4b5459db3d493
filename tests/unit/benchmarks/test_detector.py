"""The curve: what a threshold makes of beats whose silences are known."""

import dataclasses

import pytest

from benchmarks.detector.__main__ import curves, judged
from benchmarks.detector.curve import patience_s, point
from koboshi.heartbeat import Rhythm
from koboshi.heartbeat.watch import Arrivals, suspicious

STEADY = [0.5 * number for number in range(100)]
WITH_A_GAP = [*STEADY, *(at + STEADY[-1] + 3.0 for at in STEADY)]


def test_patience_is_where_silence_becomes_suspicious() -> None:
    rhythm = Rhythm()
    arrivals = Arrivals.first(0.0, rhythm)
    patience = patience_s(arrivals, rhythm)
    assert suspicious(arrivals, patience, rhythm)
    assert not suspicious(arrivals, patience - 0.01, rhythm)


def test_a_gap_is_a_false_suspicion_for_who_is_less_patient() -> None:
    fixed = dataclasses.replace(Rhythm(), threshold=1e9)
    assert point("", dataclasses.replace(fixed, longest_beats=5), [WITH_A_GAP]).false == 1
    assert point("", dataclasses.replace(fixed, longest_beats=7), [WITH_A_GAP]).false == 0
    assert point("", fixed, [STEADY]).false == 0


def test_a_higher_threshold_is_later_and_never_wrong_more_often() -> None:
    for points in curves([WITH_A_GAP, STEADY]).values():
        assert [p.median_s for p in points] == sorted(p.median_s for p in points)
        assert [p.false for p in points] == sorted((p.false for p in points), reverse=True)


def test_a_false_suspicion_misses_the_bar() -> None:
    assert [bar.met for bar in judged(point("", Rhythm(), [WITH_A_GAP]))] == [True, False]
    assert [bar.met for bar in judged(point("", Rhythm(), [STEADY]))] == [True, True]


@pytest.mark.parametrize("times", [STEADY, WITH_A_GAP])
def test_hours_are_those_of_the_workers(times: list[float]) -> None:
    assert point("", Rhythm(), [times, times]).hours == pytest.approx(2 * times[-1] / 3600)
