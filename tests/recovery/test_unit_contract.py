"""The contract suite on units with one fault each: it names the first step that differs, and why. Real processes."""

import os
import re
from pathlib import Path

import pytest

from koboshi.errors import BadInput
from koboshi.training import UnitSpec
from koboshi.training.testing import assert_exact, check_unit
from tests.support.small_table import no_table

TABLE = no_table(Path())
STEPS = 4
TWO_CORES = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: the library takes one thread")


def spec(name: str, at: int = 2, steps: int = STEPS) -> UnitSpec:
    return UnitSpec(f"tests.support.inexact_units:{name}", {"at": at}, steps)


def test_an_exact_unit_passes() -> None:
    verdict = check_unit(spec("Exact"), TABLE)
    assert verdict.exact, verdict.sentence
    assert verdict.sentence == "It resumes exactly after every step."
    assert_exact(UnitSpec("tests.support.chain_unit:Chain", {"seed": "a"}, 3), TABLE)


@pytest.mark.usefixtures("unmeasured")  # seven to nine processes for each; the exact unit above is measured
@pytest.mark.parametrize(
    ("name", "cause", "step", "said"),
    [
        ("Unseeded", "unseeded", 2, "two undisturbed runs .* unseeded random numbers"),
        ("UnseededNumpy", "unseeded", 2, "unseeded random numbers"),
        ("WallClock", "clock", 2, "another time .* reads the clock"),
        ("Weekday", "clock", 2, "reads the clock"),
        ("TimesItself", "clock", 1, "its metric seconds"),
        ("SetOrder", "order", 2, "PYTHONHASHSEED"),
        ("Hashes", "order", 2, "PYTHONHASHSEED"),
        pytest.param("BlasThreads", "threads", 2, "number of threads", marks=TWO_CORES),
        ("ForgetfulDump", "dump changes the unit", 4, "without dumps in between"),
        ("CountsItself", "number ignored", 2, "taken up after step 1 .* ignores the step's number"),
        ("HiddenRandomState", "state not dumped", 3, "taken up after step 2 .* not in dump"),
        ("Momentum", "state not dumped", 3, "not in dump"),
        ("ClassCache", "state not dumped", 3, "taken up after step 2 .* not in dump"),
        ("CannotLoad", "raises", 2, "after step 1 it fails .*KeyError when it loads .* 'weights'"),
        ("CannotStep", "raises", 2, "without any disturbance: ZeroDivisionError when step 2 is done: no rows"),
    ],
)
def test_each_fault_is_named_with_the_first_step_that_differs(name: str, cause: str, step: int, said: str) -> None:
    verdict = check_unit(spec(name), TABLE)
    assert verdict.causes == (cause,), verdict.sentence
    assert verdict.step == step, verdict.sentence
    assert re.search(said, verdict.sentence, re.IGNORECASE), verdict.sentence
    assert f"at step {step} (" in verdict.sentence or f"step {step} is done" in verdict.sentence


def test_all_causes_are_named_where_there_are_several() -> None:
    verdict = check_unit(spec("TwoFaults"), TABLE)
    assert verdict.causes == ("clock", "order")
    assert verdict.step == 2
    assert len(verdict.sentences) == 2


def test_a_number_of_threads_that_is_pinned_may_count() -> None:
    assert check_unit(spec("BlasThreads"), TABLE, threads=(1,)).exact


def test_a_unit_that_ends_its_process_is_told() -> None:
    verdict = check_unit(spec("EndsItsProcess"), TABLE)
    assert verdict.causes == ("raises",)
    assert "ended with 3" in verdict.sentence


def test_a_unit_that_does_not_end_is_told() -> None:
    verdict = check_unit(spec("Exact"), TABLE, timeout_s=0.001)
    assert "did not end" in verdict.sentence


def test_a_factory_that_is_not_there_is_told() -> None:
    with pytest.raises(AssertionError, match=r"Nothing does not resume exactly\. .* cannot be loaded"):
        assert_exact(spec("Nothing"), TABLE)


def test_one_step_has_no_break() -> None:
    with pytest.raises(BadInput, match="two or more"):
        check_unit(spec("Exact", steps=1), TABLE)


def constant(_state: bytes, _table: object, _params: object) -> str:
    """A comparison that sees no difference."""
    return "the same"


def test_what_the_user_compares_by_counts_instead_of_the_dump() -> None:
    assert check_unit(spec("SetOrder"), TABLE, predict="tests.recovery.test_unit_contract:constant").exact
