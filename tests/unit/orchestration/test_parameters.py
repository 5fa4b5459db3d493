"""Which parameters a run changes: decided from values alone."""

import datetime

import pytest

from koboshi.errors import BadInput
from koboshi.orchestration import workspaces
from koboshi.parameters import numbers

COMMITTED = {
    "train": {"seed": 0, "forest": {"trees": 100, "depth": None}, "boosting": {"rate": 0.1, "exact": True}},
    "split": {"start": "2018-07-25", "until": datetime.date(2018, 8, 14)},
}


def test_numbers_are_named_by_their_path_in_the_files_order() -> None:
    """The trigger form shows what params.yaml has."""
    assert list(numbers({"train": COMMITTED["train"]})) == [
        ("train.seed", 0),
        ("train.forest.trees", 100),
        ("train.forest.depth", None),
        ("train.boosting.rate", 0.1),
        ("train.boosting.exact", True),
    ]


def test_nothing_and_what_is_committed_change_nothing() -> None:
    """An empty field means "as committed", and so does the committed value itself: no experiment is made of it."""
    assert workspaces.changes(COMMITTED, {"train.seed": None, "train.forest.trees": 100}) == {}


def test_a_whole_number_is_a_number() -> None:
    """A rate of 1 typed into a form is the rate 1.0."""
    changes = workspaces.changes(COMMITTED, {"train.boosting.rate": 1})
    assert [type(value) for value in changes.values()] == [float]


def test_a_date_is_given_as_text() -> None:
    """JSON has no dates."""
    changes = workspaces.changes(COMMITTED, {"split.until": "2018-08-15"})
    assert changes == {"split.until": datetime.date(2018, 8, 15)}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("train.nix", 1, "params.yaml has no train.nix"),
        ("train.forest", 1, "params.yaml has no train.forest:"),
        ("train.forest.trees", "many", "give a whole number"),
        ("train.forest.trees", 1.5, "give a whole number"),
        ("train.forest.trees", True, "give a whole number"),
        ("train.boosting.exact", 1, "give a true or false"),
        ("split.start", 3, "give a text"),
        ("split.until", "soon", "write it alike"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(name: str, value: object, sentence: str) -> None:
    """Bad input is one sentence and changes nothing."""
    with pytest.raises(BadInput, match=sentence) as error:
        workspaces.changes(COMMITTED, {name: value})
    assert name in str(error.value)


def test_changed_parameters_are_a_copy() -> None:
    """The committed parameters stay as they are."""
    changed = workspaces.changed(COMMITTED, {"train.forest.trees": 7})
    assert changed["train"]["forest"] == {"trees": 7, "depth": None}
    assert COMMITTED["train"]["forest"]["trees"] == 100


def test_an_experiment_is_named_by_its_changes_in_any_order() -> None:
    """The same changes find the same workspace; other values do not."""
    one = workspaces.digest({"a.b": 1, "c": datetime.date(2018, 8, 15)})
    assert one == workspaces.digest({"c": datetime.date(2018, 8, 15), "a.b": 1})
    assert one != workspaces.digest({"a.b": 2, "c": datetime.date(2018, 8, 15)})
