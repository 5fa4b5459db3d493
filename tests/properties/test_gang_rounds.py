"""I5 for a model of many workers: whatever dies, is done again, is late or first, every share has the same bits."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.formats.manifest import DatasetRef
from koboshi.training.data_parallel import data_parallel, merged
from koboshi.training.testing.experiment import normal_form
from tests.support.gang_rounds import GangRounds
from tests.support.small_table import small_table
from tests.support.splittable import SPLITTABLE

SHARES = 3
KINDS = ("averaged descent", "descent of a regression", "perceptron", "naive Bayes", "forest")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return small_table(tmp_path_factory.mktemp("table"), rows=61)


@functools.cache
def undisturbed(name: str, table: DatasetRef) -> GangRounds:
    rounds = GangRounds(data_parallel(SPLITTABLE[name], SHARES), table)
    rounds.to_the_end()
    return rounds


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_any_schedule_gives_the_same_bits(name: str, table: DatasetRef, data: st.DataObject) -> None:
    """Who steps next, who dies in a step or while it waits, and which checkpoints turn out to be bad: all drawn."""
    rounds, control = GangRounds(data_parallel(SPLITTABLE[name], SHARES), table), undisturbed(name, table)
    for _ in range(data.draw(st.integers(0, 12), "events")):
        share = data.draw(st.sampled_from(sorted(rounds.shares)), "share")
        match data.draw(st.sampled_from(["step", "step", "step", "dies in a step", "dies waiting", "loses"]), "what"):
            case "step" if share in rounds.may_step():
                rounds.step(share)
            case "dies in a step" if share in rounds.may_step():
                rounds.step(share, dies=True)
            case "dies waiting":
                rounds.die(share)
            case "loses":
                rounds.lose(share, data.draw(st.integers(1, 2), "steps"))
    final = rounds.to_the_end()
    for step, state in control.states.items():
        assert normal_form(rounds.states[step]) == normal_form(state), f"{step} differs"
    assert rounds.metrics == control.metrics
    assert normal_form(merged(final)) == normal_form(merged(control.to_the_end()))


@pytest.mark.parametrize("name", ["averaged descent", "perceptron"])
def test_a_share_that_did_not_wait_would_show(name: str, table: DatasetRef) -> None:
    """The equalities above could not fail if the other shares made no difference."""
    rounds, control = GangRounds(data_parallel(SPLITTABLE[name], SHARES), table), undisturbed(name, table)
    rounds.gang = False
    alone = merged(rounds.to_the_end())
    assert normal_form(alone) != normal_form(merged(control.to_the_end()))
