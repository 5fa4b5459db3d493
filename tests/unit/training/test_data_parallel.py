"""One model out of shares: what each kind of model comes to, and what cannot be split."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef
from koboshi.training import UnitSpec
from koboshi.training.data_parallel import data_parallel, merged, share
from koboshi.training.pandas_rows import views
from koboshi.training.sklearn_units import fitted_model
from koboshi.training.spec import make_unit
from tests.support.gang_rounds import GangRounds
from tests.support.small_table import FEATURES, ROWS, small_table
from tests.support.splittable import FOREST, SPLITTABLE, epochs, forest, trees


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return small_table(tmp_path_factory.mktemp("table"), rows=200)


@functools.cache
def undivided(name: str, table: DatasetRef) -> Any:
    spec = SPLITTABLE[name]
    unit = make_unit(spec.factory, spec.params)
    unit.start(table)
    for number in range(1, spec.steps + 1):
        unit.step(number)
    return fitted_model(unit.dump())


def divided(spec: UnitSpec, table: DatasetRef, shares: int) -> Any:
    return merged(GangRounds(data_parallel(spec, shares), table).to_the_end())


def predicted(model: Any, table: DatasetRef) -> bytes:
    features = views(table, ROWS).learn.features
    predict: Callable[[Any], Any] = getattr(model, "predict_proba", None) or model.predict
    return bytes(predict(features).tobytes())


@pytest.mark.parametrize("name", SPLITTABLE)
def test_one_share_is_the_undivided_model(name: str, table: DatasetRef) -> None:
    assert predicted(divided(SPLITTABLE[name], table, 1), table) == predicted(undivided(name, table), table)


@pytest.mark.parametrize("name", ["forest", "extra trees", "forest of a regression"])
@pytest.mark.parametrize("shares", [2, 3, 5])
def test_a_forest_is_the_undivided_one_whatever_the_number_of_shares(name: str, shares: int, table: DatasetRef) -> None:
    """To the bit: the same trees, and votes added up in the same order."""
    whole, model = undivided(name, table), divided(SPLITTABLE[name], table, shares)
    assert predicted(model, table) == predicted(whole, table)
    assert model.get_params() == whole.get_params()
    assert [tree.random_state for tree in model] == [tree.random_state for tree in whole]


def test_naive_bayes_is_that_of_one_fit_on_all_rows(table: DatasetRef) -> None:
    model, rows = divided(epochs("GaussianNB", {}, steps=1), table, 3), views(table, ROWS).learn
    whole = GaussianNB().fit(rows.features, rows.labels)
    for name in ("class_count_", "class_prior_", "theta_", "var_", "epsilon_"):
        np.testing.assert_allclose(getattr(model, name), getattr(whole, name), rtol=1e-12)


def test_naive_bayes_keeps_priors_that_were_given(table: DatasetRef) -> None:
    model = divided(epochs("GaussianNB", {"priors": [0.5, 0.5]}), table, 2)
    assert list(model.class_prior_) == [0.5, 0.5]


@pytest.mark.filterwarnings("ignore:divide by zero encountered in log")  # of the class that is not in the shard
def test_naive_bayes_of_a_class_that_one_share_never_sees(tmp_path: Path) -> None:
    """Every share learns with all classes; what it has not seen weighs nothing."""
    table = small_table(tmp_path, rows=40)
    gang = GangRounds(data_parallel(epochs("GaussianNB", {}, steps=1), 13), table)
    model, rows = merged(states := gang.to_the_end()), views(table, ROWS).learn
    assert any(0 in fitted_model(state).model.class_count_ for state in states)
    np.testing.assert_allclose(model.var_, GaussianNB().fit(rows.features, rows.labels).var_, rtol=1e-12)


def test_a_class_that_one_share_never_sees_is_known_to_every_share(tmp_path: Path) -> None:
    table = small_table(tmp_path, rows=40)
    for name in ("descent", "perceptron"):
        assert list(learner_of(divided(SPLITTABLE[name], table, 13)).classes_) == [0, 1]


@pytest.mark.parametrize("name", ["descent", "averaged descent", "descent of a regression", "perceptron"])
def test_parameters_are_the_mean_of_the_shares_by_rows(name: str, tmp_path: Path) -> None:
    """Of 7 rows, three shares learn from 3, 2 and 2."""
    table = small_table(tmp_path, rows=7)
    states = GangRounds(data_parallel(dataclasses.replace(SPLITTABLE[name], steps=1), 3), table).to_the_end()
    alone = [learner_of(fitted_model(state).model) for state in states]
    together = learner_of(merged(states))
    parameters = ("coefs_", "intercepts_") if name == "perceptron" else ("coef_", "intercept_")
    for parameter in parameters:
        parts = [getattr(model, parameter) for model in alone]
        expected = [(3 * a + 2 * b + 2 * c) / 7 for a, b, c in zip(*parts, strict=True)]
        for found, wanted in zip(getattr(together, parameter), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
        assert not np.array_equal(parts[0][0], parts[1][0])


def learner_of(model: Any) -> Any:
    return model[-1] if isinstance(model, Pipeline) else model


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_an_optimizer_goes_on_with_the_mean_of_the_moments(solver: str, table: DatasetRef) -> None:
    params = {"random_state": 7, "hidden_layer_sizes": [4], "solver": solver}
    states = GangRounds(data_parallel(epochs("MLPClassifier", params), 2), table).to_the_end()
    alone, together = [fitted_model(state).model._optimizer for state in states], merged(states)._optimizer
    for name in ("ms", "vs") if solver == "adam" else ("velocities",):
        for found, one, other in zip(getattr(together, name), *(getattr(m, name) for m in alone), strict=True):
            np.testing.assert_allclose(found, (one + other) / 2, rtol=1e-12)


def test_rounds_learn(table: DatasetRef) -> None:
    """The mean of shares is about as good as one model that saw all rows."""
    rows = views(table, ROWS).learn
    for name in ("averaged descent", "perceptron"):
        whole, model = undivided(name, table), divided(SPLITTABLE[name], table, 3)
        assert model.score(rows.features, rows.labels) > whole.score(rows.features, rows.labels) - 0.05


def test_states_come_in_any_order(table: DatasetRef) -> None:
    states = GangRounds(data_parallel(SPLITTABLE["perceptron"], 3), table).to_the_end()
    assert predicted(merged(states), table) == predicted(merged(list(reversed(states))), table)


def test_shares_learn_from_all_rows_each_once(table: DatasetRef) -> None:
    seen: list[int] = []
    for spec in data_parallel(SPLITTABLE["descent"], 3).values():
        unit = make_unit(spec.factory, spec.params)
        unit.start(table)
        seen += list(unit._views.learn.features.index)  # type: ignore[attr-defined]
    assert sorted(seen) == list(range(200))


def test_rows_to_watch_that_are_set_apart_are_watched_by_every_share(table: DatasetRef) -> None:
    rows = {"loader": "tests.support.small_table:halves", "label": "y"}
    for spec in data_parallel(epochs("GaussianNB", {}, rows=rows), 2).values():
        unit = make_unit(spec.factory, spec.params)
        unit.start(table)
        assert len(unit._views.learn.labels) == 50  # type: ignore[attr-defined]
        assert len(unit._views.watch.labels) == 100  # type: ignore[attr-defined]


class TestNames:
    def test_are_the_models_name_and_a_number(self) -> None:
        assert list(data_parallel(SPLITTABLE["descent"], 3)) == ["model/0", "model/1", "model/2"]
        assert {spec.steps for spec in data_parallel(FOREST, 2).values()} == {FOREST.steps}

    def test_are_in_the_order_of_the_numbers(self) -> None:
        names = list(data_parallel(SPLITTABLE["descent"], 11, "big"))
        assert names[0] == "big/00"
        assert names == sorted(names)

    def test_only_those_who_wait_for_each_other_are_a_gang(self) -> None:
        assert {spec.gang for spec in data_parallel(SPLITTABLE["perceptron"], 2, "net").values()} == {"net"}
        assert {spec.gang for spec in data_parallel(FOREST, 2).values()} == {""}
        assert {spec.gang for spec in data_parallel(SPLITTABLE["naive Bayes"], 2).values()} == {""}


class TestWhatCannotBeSplitIsRefused:
    """With one sentence that says what to do instead."""

    @pytest.mark.parametrize(
        ("spec", "shares", "said"),
        [
            (
                trees("HistGradientBoostingClassifier"),
                2,
                "HistGradientBoostingClassifier cannot be split.*RandomForest",
            ),
            (trees("GradientBoostingRegressor"), 2, "each of its steps needs all rows"),
            (forest(oob_score=True), 2, "oob_score"),
            (FOREST, FOREST.params["trees_a_step"] + 1, "too few for"),
            (FOREST, 0, "0 shares: give it one or more"),
            (UnitSpec("tests.support.chain_unit:Chain", {"seed": "a"}, 3), 2, "gives no SklearnUnit.*join"),
            (UnitSpec("tests.support.splittable:of_a_recipe", {}, 3), 2, "a Nothing cannot be split"),
            (epochs("GaussianNB", {"depth": 3}), 2, "depth"),
        ],
    )
    def test_when_the_shares_are_made(self, spec: UnitSpec, shares: int, said: str) -> None:
        with pytest.raises(BadInput, match=said) as caught:
            data_parallel(spec, shares)
        assert str(caught.value).count("\n") == 0

    def test_fewer_rows_than_shares(self, tmp_path: Path) -> None:
        unit = share(**data_parallel(epochs("GaussianNB", {}), 5)["model/0"].params)
        with pytest.raises(BadInput, match="4 rows cannot be split among 5 shares"):
            unit.start(small_table(tmp_path, rows=4))

    def test_states_that_are_not_all_shares_of_one_step(self, table: DatasetRef) -> None:
        gang = GangRounds(data_parallel(SPLITTABLE["descent"], 3), table)
        states = gang.to_the_end()
        for wrong, said in (([], "none"), (states[:2], "0, 1"), ([*states, states[0]], "0, 0, 1, 2")):
            with pytest.raises(BadInput, match=f"these are {said}"):
                merged(wrong)
        with pytest.raises(BadInput, match=r"after \[2, 3\]"):
            merged([*states[:2], gang.states["model/2", 2]])


def test_models_learn_from_features_by_name(table: DatasetRef) -> None:
    """Serving checks the columns."""
    for name in ("forest", "naive Bayes"):
        assert list(divided(SPLITTABLE[name], table, 2).feature_names_in_) == FEATURES
