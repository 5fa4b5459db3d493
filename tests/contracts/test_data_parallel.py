"""The shares of one model, a round being a step, resume exactly after every round, whatever else is different (I5)."""

import pytest

from koboshi.errors import BadInput
from koboshi.training import UnitSpec
from koboshi.training.data_parallel import data_parallel
from koboshi.training.testing import check_unit, contract_of, in_rounds
from tests.support.small_table import no_table, small_table
from tests.support.splittable import SPLITTABLE

pytestmark = pytest.mark.usefixtures("unmeasured")

KINDS = ("perceptron", "naive Bayes", "extra trees")
ROUNDS = {name: in_rounds(data_parallel(SPLITTABLE[name], 3)) for name in KINDS}

test_models_of_many_workers = contract_of(ROUNDS, small_table)


def test_a_share_that_keeps_something_to_itself_is_found(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The contract above could not fail if the states made no difference."""
    own = UnitSpec("tests.support.inexact_units:KeepsToItself", {}, 3, gang="g")
    verdict = check_unit(in_rounds({"g/0": own, "g/1": own}), no_table(tmp_path))
    assert (verdict.causes, verdict.step) == (("state not dumped",), 2)


def test_shares_of_different_models_are_no_gang() -> None:
    units = {**data_parallel(SPLITTABLE["perceptron"], 2, "a"), **data_parallel(SPLITTABLE["perceptron"], 2, "b")}
    with pytest.raises(BadInput, match="one gang, and these have"):
        in_rounds(units)
