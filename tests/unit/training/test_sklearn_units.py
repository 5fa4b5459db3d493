"""Ready-made units: what they refuse, the rows they read, folds, and search spaces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koboshi.errors import BadInput, Corrupt
from koboshi.formats.manifest import DatasetRef
from koboshi.training import UnitSpec
from koboshi.training.pandas_rows import views
from koboshi.training.search_space import grid, variants
from koboshi.training.sklearn_units import Fold, SklearnUnit, epochs, fitted_model, folds, held_out, trees
from koboshi.training.spec import make_unit
from tests.support.small_table import FEATURES, ROWS, small_table

EPOCHS = "koboshi.training.sklearn_units:epochs"
SEED = {"random_state": 7}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return small_table(tmp_path_factory.mktemp("table"))


class TestWhatIsNotExactIsRefused:
    """With one sentence that names the parameter: a resumed run would not be the undisturbed one."""

    @pytest.mark.parametrize(
        ("estimator", "params", "said"),
        [
            ("AdaBoostClassifier", SEED, "RandomForestClassifier"),
            ("RandomForestClassifier", {}, "random_state of RandomForestClassifier has to be a whole number"),
            ("RandomForestClassifier", {"random_state": None}, "random_state"),
            ("RandomForestClassifier", {"random_state": True}, "random_state"),
            ("RandomForestClassifier", {**SEED, "n_jobs": -1}, "n_jobs"),
            ("RandomForestClassifier", {**SEED, "n_estimators": 10}, "n_estimators .* leave it out"),
            ("RandomForestClassifier", {**SEED, "warm_start": True}, "warm_start"),
            ("RandomForestClassifier", {**SEED, "depth": 3}, "depth"),
            ("HistGradientBoostingClassifier", {**SEED, "early_stopping": "auto"}, "early_stopping"),
            ("HistGradientBoostingRegressor", {**SEED, "early_stopping": True}, "early_stopping"),
            ("HistGradientBoostingClassifier", {**SEED, "max_iter": 10}, "max_iter"),
            ("GradientBoostingClassifier", {**SEED, "n_iter_no_change": 3}, "n_iter_no_change"),
        ],
    )
    def test_of_trees(self, estimator: str, params: dict[str, Any], said: str) -> None:
        with pytest.raises(BadInput, match=said) as caught:
            trees(estimator, 3, ROWS, params)
        assert str(caught.value).count("\n") == 0

    @pytest.mark.parametrize(
        ("estimator", "params", "said"),
        [
            ("LogisticRegression", SEED, "SGDClassifier"),
            ("SGDClassifier", {}, "random_state"),
            ("SGDClassifier", {**SEED, "early_stopping": True}, "early_stopping"),
            ("MLPClassifier", {**SEED, "warm_start": True}, "warm_start"),
            ("MLPRegressor", {**SEED, "early_stopping": True}, "early_stopping"),
            ("GaussianNB", {"depth": 3}, "depth"),
        ],
    )
    def test_of_epochs(self, estimator: str, params: dict[str, Any], said: str) -> None:
        with pytest.raises(BadInput, match=said):
            epochs(estimator, ROWS, params)

    def test_of_numbers_and_scorers(self) -> None:
        with pytest.raises(BadInput, match="trees_a_step is 0"):
            trees("RandomForestClassifier", 0, ROWS, SEED)
        with pytest.raises(BadInput, match="epochs_a_step is 0"):
            epochs("GaussianNB", ROWS, {}, epochs_a_step=0)
        with pytest.raises(BadInput, match="rows_a_batch is 0"):
            epochs("GaussianNB", ROWS, {}, rows_a_batch=0)
        with pytest.raises(BadInput, match="no scorer luck"):
            epochs("GaussianNB", ROWS, {}, metrics=["luck"])


class TestRows:
    def test_are_the_named_columns_in_their_order(self, table: DatasetRef) -> None:
        loaded = views(table, {**ROWS, "features": ["c", "a"]})
        assert list(loaded.learn.features.columns) == ["c", "a"]
        assert loaded.learn is loaded.watch
        assert set(loaded.learn.labels) == {0, 1}

    def test_come_from_a_loader_of_the_users(self, table: DatasetRef) -> None:
        loaded = views(table, {"loader": "tests.support.small_table:halves", "label": "y"})
        assert len(loaded.learn.labels) == len(loaded.watch.labels) == 300
        single = views(table, {"loader": "tests.support.small_table:one"})
        assert single.learn is single.watch

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"file": "none.parquet"}, "has no file none.parquet: its manifest names rows.parquet"),
            ({"features": ["a", "z"]}, "columns"),
            ({"depth": 3}, "rows does not fit"),
            ({"loader": "tests.support.small_table:nothing"}, "cannot be loaded"),
            ({"loader": "nothing"}, "cannot be loaded"),
        ],
    )
    def test_that_are_not_there_are_one_sentence(self, table: DatasetRef, change: dict[str, Any], said: str) -> None:
        with pytest.raises(BadInput, match=said):
            views(table, {**ROWS, **change})

    def test_of_another_table_than_the_ordered_one_are_refused(self, table: DatasetRef, tmp_path: Path) -> None:
        with pytest.raises(Corrupt, match="submit the training again"):
            views(DatasetRef(table.path, "0" * 64), ROWS)
        changed = small_table(tmp_path)
        (tmp_path / "rows.parquet").write_bytes(b"rows")
        with pytest.raises(Corrupt, match="table"):
            views(changed, ROWS)


class TestFolds:
    FOREST = UnitSpec(
        "koboshi.training.sklearn_units:trees",
        {"estimator": "RandomForestClassifier", "trees_a_step": 2, "rows": ROWS, "params": SEED},
        3,
    )

    @pytest.mark.parametrize("by", ["KFold", "StratifiedKFold"])
    @pytest.mark.parametrize("seed", [None, 5])
    def test_each_row_is_watched_once_and_never_learnt_from_by_the_same_fold(
        self, table: DatasetRef, by: str, seed: int | None
    ) -> None:
        rows = views(table, ROWS).learn
        watched: list[int] = []
        for number in range(1, 6):
            parts = held_out(rows, Fold(number, 5, by, seed))
            learnt, seen = set(parts.learn.features.index), set(parts.watch.features.index)
            assert not learnt & seen
            assert len(learnt | seen) == len(rows.labels)
            watched += seen
        assert sorted(watched) == list(range(len(rows.labels)))

    def test_in_time_only_what_was_before_is_learnt_from(self, table: DatasetRef) -> None:
        parts = held_out(views(table, ROWS).learn, Fold(2, 4, "TimeSeriesSplit"))
        assert parts.learn.features.index.max() < parts.watch.features.index.min()

    def test_are_units_that_learn_from_different_rows(self, table: DatasetRef) -> None:
        units = folds(self.FOREST, 3, by="KFold")
        assert list(units) == ["fold-1", "fold-2", "fold-3"]
        predictions = set()
        for spec in units.values():
            unit = make_unit(spec.factory, spec.params)
            unit.start(table)
            unit.step(1)
            model = fitted_model(unit.dump())
            predictions.add(model.predict_proba(views(table, ROWS).learn.features).tobytes())
        assert len(predictions) == 3

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"number": 1, "folds": 1}, "no fold 1 of 1"),
            ({"number": 4, "folds": 3}, "no fold 4 of 3"),
            ({"number": 0, "folds": 3}, "no fold 0 of 3"),
            ({"number": 1, "folds": 3, "by": "LeaveOneOut"}, "LeaveOneOut"),
            ({"number": 1, "folds": 3, "by": "TimeSeriesSplit", "seed": 1}, "order of the rows"),
            ({"fold": 1}, "fold does not fit"),
        ],
    )
    def test_that_do_not_exist_are_one_sentence(self, fields: dict[str, Any], said: str) -> None:
        with pytest.raises(BadInput, match=said):
            Fold.of_json(fields)

    def test_more_folds_than_rows_are_one_sentence(self, table: DatasetRef) -> None:
        few = views(table, ROWS).learn.take(np.arange(3))
        with pytest.raises(BadInput, match="3 rows cannot be split into 9 folds"):
            held_out(few, Fold(1, 9, "KFold"))


class TestSearchSpace:
    UNIT = TestFolds.FOREST

    def test_a_grid_has_each_combination_once_under_a_name_that_says_it(self) -> None:
        units = grid(self.UNIT, {"params.max_depth": [3, None], "trees_a_step": [2, 4]})
        assert list(units) == [
            "max_depth=3,trees_a_step=2",
            "max_depth=3,trees_a_step=4",
            "max_depth=None,trees_a_step=2",
            "max_depth=None,trees_a_step=4",
        ]
        chosen = units["max_depth=3,trees_a_step=4"].params
        assert (chosen["params"], chosen["trees_a_step"]) == ({**SEED, "max_depth": 3}, 4)
        assert self.UNIT.params["params"] == SEED

    def test_variants_are_named_by_the_user(self) -> None:
        units = variants(self.UNIT, {"as it is": {}, "deep": {"params.max_depth": 9, "new.block": 1}})
        assert units["as it is"] == self.UNIT
        assert units["deep"].params["new"] == {"block": 1}

    def test_what_makes_no_sense_is_one_sentence(self) -> None:
        with pytest.raises(BadInput, match="finds none"):
            grid(self.UNIT, {"trees_a_step": []})
        with pytest.raises(BadInput, match="one name"):
            grid(self.UNIT, {"params.a": [1, 1]})
        with pytest.raises(BadInput, match="trees_a_step, which is a value"):
            variants(self.UNIT, {"x": {"trees_a_step.deep": 1}})


@pytest.mark.parametrize(
    ("unit", "metrics"),
    [
        (trees("ExtraTreesRegressor", 2, ROWS, SEED), {"r2"}),
        (epochs("GaussianNB", ROWS, {}), {"accuracy"}),
        (epochs("SGDClassifier", ROWS, SEED, metrics=["roc_auc", "accuracy"]), {"roc_auc", "accuracy"}),
    ],
)
def test_each_step_tells_the_scores_that_were_asked_for(
    unit: SklearnUnit, metrics: set[str], table: DatasetRef
) -> None:
    unit.start(table)
    told = unit.step(1)
    assert set(told) == metrics
    assert all(isinstance(value, float) for value in told.values())


def test_features_keep_their_names_up_to_the_model(table: DatasetRef) -> None:
    """Serving checks the columns by name."""
    unit = epochs("GaussianNB", ROWS, {}, rows_a_batch=100)
    unit.start(table)
    unit.step(1)
    assert list(fitted_model(unit.dump()).feature_names_in_) == FEATURES
