"""How long answers took before, during and after a fault."""

from koboshi.drills.drill import Event, Injection
from koboshi.drills.kit.aiohttp_load import Answer
from koboshi.drills.kit.latencies import latencies

FAULTS = [Injection("SIGKILL", "x", at_s, at_s, took=True) for at_s in (10.0, 20.0)]
EVENTS = [Event(9.0, "recovery", "before"), Event(15.0, "recovery", "first"), Event(25.0, "recovery", "last")]


def answer(due_s: float, took_s: float, status: int = 200) -> Answer:
    return Answer(due_s, took_s, status, right=True)


def test_a_request_belongs_to_the_window_in_which_it_was_due() -> None:
    """One that was due in the outage and came after it is slow in the outage; failures have no time."""
    answers = [
        answer(5, 0.01),
        answer(12, 0.5),
        answer(24.9, 2.0),
        answer(24, 9, 503),
        answer(25, 0.02),
        answer(30, 0.04),
    ]
    assert latencies(answers, FAULTS, EVENTS) == {
        "p50_before_ms": 10.0,
        "p99_before_ms": 10.0,
        "p50_during_ms": 500.0,
        "p99_during_ms": 2000.0,
        "p50_after_ms": 20.0,
        "p99_after_ms": 40.0,
    }


def test_without_a_recovery_the_outage_lasts_and_a_window_without_answers_is_left_out() -> None:
    assert list(latencies([answer(30, 0.1)], FAULTS, [])) == ["p50_during_ms", "p99_during_ms"]
    assert latencies([answer(30, 0.1)], [], EVENTS) == {}
