"""The figures that follow from the answers of a load."""

import pytest

from koboshi.drills.kit.aiohttp_load import Answer, bearable, failures, per_second, percentile_ms, share, silence


def answer(due_s: float, replica: str = "a", **changes: object) -> Answer:
    return Answer(**{"due_s": due_s, "took_s": 0.0, "status": 200, "right": True, "replica": replica, **changes})


def test_failures_are_counted_by_what_was_said() -> None:
    """A request without any answer is a failure as well as one with a 503."""
    answers = [
        answer(0),
        answer(1, status=503, said="no"),
        answer(2, status=503, said="no"),
        answer(3, status=0, said="x"),
    ]
    assert failures(answers) == {"503: no": 2, "no answer: x": 1}


def test_a_share_is_a_part_of_all() -> None:
    assert share([answer(0, "a"), answer(1, "b"), answer(2, "b"), answer(3, "b")], "a") == 0.25
    assert share([], "a") == 0


def test_a_rate_that_cannot_be_borne_is_lowered_and_one_that_can_is_kept() -> None:
    """Fifty a second are not five hundred: four fifths of them are asked for."""
    assert bearable([answer(n / 50) for n in range(51)], wanted=500) == pytest.approx(40)
    assert bearable([answer(n / 490) for n in range(51)], wanted=500) == 500
    assert bearable([], wanted=500) == 500


def test_percentiles_are_answers_that_were_really_given() -> None:
    """The 50th of a hundred is the fiftieth, the 100th the slowest; none at all is no time."""
    answers = [answer(0, took_s=n / 1000) for n in range(100, 0, -1)]
    assert [percentile_ms(answers, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile_ms([], 50) == 0


def test_a_silence_begins_near_the_moment_and_ends_with_the_next_prediction() -> None:
    """Neither the others nor its own errors break it; a longer one at another time is not meant."""
    answers = [answer(0), answer(1), answer(2, "b"), answer(3, status=500), answer(5), answer(6), answer(60)]
    assert silence(answers, "a", 0.9) == (1, 5)
    assert silence(answers, "a", 20) is None
    assert silence(answers, "b", 2) is None


def test_series_tell_each_second_who_answered_and_how_slow_the_slowest_was() -> None:
    """The last second is not over, so it is left out; a second without an answer is a zero."""
    answers = [answer(10.0), answer(10.5, "b", took_s=0.25), answer(12.1), answer(13.0)]
    told = {series.name: (series.unit, list(series.points)) for series in per_second(answers, lambda a: a.replica)}
    assert told == {
        "answers of a": ("1/s", [(10.0, 1.0), (11.0, 0.0), (12.0, 1.0)]),
        "answers of b": ("1/s", [(10.0, 1.0), (11.0, 0.0), (12.0, 0.0)]),
        "slowest answer": ("ms", [(10.0, 250.0), (11.0, 0.0), (12.0, 0.0)]),
    }
    assert per_second([], lambda a: a.replica) == []
