"""Which candidates a promotion is about, and which of them may be promoted."""

from typing import Any

import pytest

from koboshi.orchestration.workspaces import PROMOTE_BOX, Candidate, announced, candidates, numbers_of

BOX_ON, BOX_OFF = {PROMOTE_BOX: True}, {PROMOTE_BOX: False}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([{"workspace": "project", **BOX_OFF}], [Candidate("project", True)]),
        ([{"workspace": "ab12", **BOX_OFF}], [Candidate("ab12", False)]),
        ([{"workspace": "ab12", **BOX_ON}], [Candidate("ab12", True)]),
        ([{"workspace": "ab12"}], [Candidate("ab12", False)]),
        ([{"workspace": "project"}], [Candidate("project", True)]),
        ([{"workspace": "ab12", PROMOTE_BOX: "yes"}], [Candidate("ab12", False)]),
        ([{"workspace": "a", **BOX_ON}, {"workspace": "b", **BOX_OFF}], [Candidate("a", True), Candidate("b", False)]),
        ([{"workspace": "a", **BOX_ON}, {"workspace": "a", **BOX_OFF}], [Candidate("a", False)]),
    ],
)
def test_an_experiment_is_promoted_only_where_the_box_is_on(told: list[dict[str, Any]], found: list[Candidate]) -> None:
    """The committed pipeline needs none; events of an older koboshi have none; the last word counts."""
    assert candidates(told) == found


@pytest.mark.parametrize(("params", "box"), [(BOX_ON, True), (BOX_OFF, False), ({}, False)])
def test_the_event_of_a_training_hands_the_box_on(params: dict[str, Any], box: bool) -> None:
    """What the form of `train` says decides in the run of `promote` that it starts."""
    assert candidates([announced("ab12", params)]) == [Candidate("ab12", box)]


def test_the_box_makes_no_experiment() -> None:
    """The same numbers are the same workspace, whether they are to be promoted or not."""
    assert numbers_of({"train.seed": 7, **BOX_ON}) == numbers_of({"train.seed": 7, **BOX_OFF}) == {"train.seed": 7}
