"""From outcomes of experiments to the sentence: each cause alone, in order, and what rules out what."""

import dataclasses

import pytest

from koboshi.training.testing.diagnosis import (
    Outcomes,
    Run,
    Step,
    diagnose,
    difference,
    failed,
    is_exact,
)

STEPS = 4


def run(after: int = 0, other_from: int = 99, *, metric: bool = False, error: str | None = None) -> Run:
    """A run that is another one from a step on."""
    numbers = range(after + 1, STEPS + 1 if error is None else other_from)
    steps = (
        Step({"loss": f"{number}{'*' if metric and number >= other_from else ''}"}, f"{number}{number >= other_from}")
        for number in numbers
    )
    return Run(after, tuple(steps), error)


ALL_ALIKE = Outcomes(
    straight=run(),
    twin=run(),
    clock=run(),
    order=run(),
    threads=run(),
    plain=dataclasses.replace(run(), steps=(*(Step(s.metrics, None) for s in run().steps[:-1]), run().steps[-1])),
    renumbered=run(other_from=1),
    resumed=tuple(run(after) for after in (3, 2, 1)),
)


def test_all_alike_is_exact() -> None:
    others = [getattr(ALL_ALIKE, name) for name in ("twin", "clock", "order", "threads", "plain")]
    assert is_exact(ALL_ALIKE.straight, (*others, *ALL_ALIKE.resumed))
    assert not is_exact(ALL_ALIKE.straight, (run(other_from=4),))


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("metric", [True, False])
def test_the_first_step_that_differs_is_named(step: int, metric: bool) -> None:
    found = difference(run(), run(other_from=step, metric=metric))
    assert found is not None
    assert (found.step, found.what) == (step, "its metric loss" if metric else "the state after it")


def test_a_metric_that_is_missing_differs() -> None:
    without = dataclasses.replace(run(), steps=(run().steps[0], Step({}, run().steps[1].form)))
    assert difference(run(), without) is not None


def test_a_run_that_stops_differs_where_it_stopped() -> None:
    found = difference(run(), run(1, 3, error="KeyError"))
    assert found is not None
    assert (found.step, found.error) == (3, "KeyError")


@pytest.mark.parametrize(
    ("name", "cause"),
    [("clock", "clock"), ("order", "order"), ("threads", "threads"), ("plain", "dump changes the unit")],
)
def test_one_change_that_makes_a_difference_is_the_cause(name: str, cause: str) -> None:
    verdict = diagnose(dataclasses.replace(ALL_ALIKE, **{name: run(other_from=4)}))
    assert (verdict.causes, verdict.step) == ((cause,), 4)
    assert not verdict.exact


def test_a_unit_that_differs_from_itself_is_asked_nothing_more() -> None:
    everything = dict.fromkeys(("twin", "clock", "order", "threads", "plain"), run(other_from=2))
    verdict = diagnose(dataclasses.replace(ALL_ALIKE, **everything, resumed=(run(1, 2),)))
    assert verdict.causes == ("unseeded",)


def test_the_earliest_break_that_shows_is_named() -> None:
    verdict = diagnose(dataclasses.replace(ALL_ALIKE, resumed=(run(3, 4), run(2, 4), run(1))))
    assert verdict.causes == ("state not dumped",)
    assert "after step 2 it differs first at step 4" in verdict.sentence


def test_a_unit_to_which_the_number_says_nothing_ignores_it() -> None:
    verdict = diagnose(dataclasses.replace(ALL_ALIKE, renumbered=run(), resumed=(run(1, 2),)))
    assert verdict.causes == ("number ignored",)


def test_to_ignore_the_number_is_no_fault_by_itself() -> None:
    assert diagnose(dataclasses.replace(ALL_ALIKE, renumbered=run())).causes == ("unknown",)


def test_a_load_that_raises_is_told() -> None:
    verdict = diagnose(dataclasses.replace(ALL_ALIKE, resumed=(run(2, 3, error="KeyError when it loads: 'w'"),)))
    assert verdict.causes == ("raises",)
    assert verdict.sentence == "Taken up after step 2 it fails at step 3 (KeyError when it loads: 'w')."


def test_several_causes_are_told_with_the_earliest_step() -> None:
    verdict = diagnose(dataclasses.replace(ALL_ALIKE, clock=run(other_from=3), threads=run(other_from=2)))
    assert (verdict.causes, verdict.step, len(verdict.sentences)) == (("clock", "threads"), 2, 2)


def test_whether_a_unit_resumes_is_not_asked_while_it_reads_the_clock() -> None:
    verdict = diagnose(
        dataclasses.replace(ALL_ALIKE, clock=run(other_from=3), order=run(other_from=3), resumed=(run(1, 2),))
    )
    assert verdict.causes == ("clock", "order")


def test_what_no_single_change_shows_is_unknown() -> None:
    verdict = diagnose(ALL_ALIKE)
    assert (verdict.causes, verdict.step) == (("unknown",), None)


def test_a_failure_without_disturbance_names_its_step() -> None:
    assert failed(run(0, 3, error="ZeroDivisionError")).step == 3
