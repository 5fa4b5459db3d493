"""The train stage without Ray: what is asked for, under which key, and the bytes of what it publishes."""

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from koboshi.datasets.build import open_verified
from koboshi.datasets.params import load_params
from koboshi.errors import BadInput, NotConfigured, Unavailable
from koboshi.formats.manifest import Dataset, seal
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.registry.outbox import Outbox
from koboshi.settings import load_settings
from koboshi.training.attach import TrainingResult
from pipelines import train
from pipelines.candidates import CLASSES
from pipelines.columns import FEATURES, KEYS, LABEL
from pipelines.drill_workload import SMALL, STEPS, WORKLOAD
from pipelines.recording import deliver_first
from pipelines.splits import Split
from pipelines.train import TrainParams, candidate_units, score, training_spec, write_training
from tests.support.projects import ROOT, copy_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR", "KOBOSHI_RAY__JOBS_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = copy_project(tmp_path)
    features = folder / "data" / "features"
    features.mkdir(parents=True)
    (features / "table.parquet").write_bytes(b"rows")
    seal(features)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def params() -> TrainParams:
    return load_params(ROOT, "train", TrainParams)


@pytest.fixture
def split() -> Split:
    return load_params(ROOT, "split", Split)


def key_of(project: Path, params: TrainParams, split: Split) -> str:
    features: Dataset = open_verified(project / "data" / "features")
    return training_spec(load_settings(project), features, params, split).key


def changed(params: TrainParams, **values: Any) -> TrainParams:
    return TrainParams.model_validate({**params.model_dump(), **values})


def test_the_committed_parameters_make_the_three_candidates(params: TrainParams, split: Split) -> None:
    units = candidate_units(params, split)
    assert set(units) == {"logistic", "forest", "boosting"}
    assert all(unit.steps >= 8 for unit in units.values())
    assert units["forest"].params["split"]["start"] == "2018-07-25"
    assert json.loads(json.dumps(dataclasses.asdict(units["forest"]))) == dataclasses.asdict(units["forest"])


@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        ({"forest": {"steps": 3}}, "trees_a_step"),
        ({"logistic": {"steps": 3, "alpha": 1e-4, "epochs_a_step": 1, "depth": 3}}, "depth"),
        ({"oracle": {"steps": 3}}, "oracle"),
    ],
)
def test_a_candidate_that_does_not_fit_is_one_sentence(
    params: TrainParams, split: Split, candidates: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        candidate_units(changed(params, candidates=candidates), split)


def test_the_key_is_the_same_in_every_clone(
    project: Path, params: TrainParams, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I6: no path, time or attempt is in it."""
    here = key_of(project, params, split)
    elsewhere = project / "a" / "clone"
    elsewhere.mkdir(parents=True)
    copy_project(elsewhere)
    (elsewhere / "data").symlink_to(project / "data")
    assert key_of(elsewhere, params, split) == here


def test_whatever_decides_the_outcome_changes_the_key(project: Path, params: TrainParams, split: Split) -> None:
    keys = [key_of(project, params, split)]
    keys.append(key_of(project, changed(params, seed=1), split))
    keys.append(key_of(project, changed(params, threads=2), split))
    keys.append(key_of(project, params, split.model_copy(update={"start": datetime.date(2018, 7, 26)})))
    for name in ("requirements.lock", "pipelines/candidates.py", "src/koboshi/training/sklearn_recipes.py"):
        (project / name).write_text((project / name).read_text() + "# changed\n")
        keys.append(key_of(project, params, split))
    (project / "data/features/table.parquet").write_bytes(b"other rows")
    seal(project / "data" / "features")
    keys.append(key_of(project, params, split))
    assert len(set(keys)) == len(keys)


class Constant:
    """Scores each row by its amount."""

    classes_ = CLASSES

    def predict_proba(self, features: Any) -> Any:
        amounts = features["amount"].to_numpy()
        return np.column_stack([1 - amounts, amounts])


def test_scores_are_by_transaction_and_their_bytes_depend_on_nothing_else(
    project: Path, params: TrainParams, split: Split, tmp_path: Path
) -> None:
    columns = {name: [3, 1, 2] for name in (*KEYS, LABEL)} | {name: [0.1, 0.2, 0.3] for name in FEATURES}
    rows = pl.DataFrame(columns)
    scores = score(rows, {"a": Constant(), "b": Constant()}, threads=1)
    assert scores.columns == ["transaction_id", "a", "b"]
    assert scores.rows() == [(3, 0.1, 0.1), (1, 0.2, 0.2), (2, 0.3, 0.3)]
    assert scores.schema["a"] == pl.Float64
    spec = training_spec(load_settings(project), open_verified(project / "data" / "features"), params, split)
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_training(tmp_path / name, spec, scores)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    described = json.loads(written[0]["training.json"])
    assert described["key"] == spec.key
    assert described["candidates"]["forest"]["trees_a_step"] == params.candidates["forest"].model_extra["trees_a_step"]  # type: ignore[index]


def test_without_ray_the_stage_says_how_to_start_it(project: Path) -> None:
    with pytest.raises(NotConfigured, match="koboshi up"):
        train.main()


def test_a_training_that_ends_while_mlflow_is_away_is_done_all_the_same(
    project: Path,
    params: TrainParams,
    split: Split,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is on disk, with models and metrics; those who need it in MLflow say 75."""
    monkeypatch.setenv("KOBOSHI_MLFLOW__TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings, features = load_settings(project), open_verified(project / "data" / "features")
    spec = training_spec(settings, features, params, split)
    step = CommittedStep(CheckpointRef(spec.key, "forest", 1, "1.ckpt", "0" * 64), {"auc": 0.75}, 1_800_000_000.5)
    attained = TrainingResult({name: [step] for name in spec.units}, trained=True)
    rows = pl.DataFrame({name: [0.1] * 9 for name in FEATURES})
    train.record(settings, spec, attained, dict.fromkeys(spec.units, Constant()), rows)
    assert "MLflow is away" in (said := capsys.readouterr().out)
    assert "1 entry waits in the outbox, delivered by the next train, evaluate or promote" in said
    outbox = Outbox.of(settings.state_dir)
    [entry] = outbox.entries()
    kept = outbox.read(entry)
    assert (kept.experiment, kept.key, kept.params["threads"]) == ("card-fraud", spec.key, "1")
    assert {unit.name for unit in kept.units} == set(spec.units)
    assert [(s.step, s.metrics, s.at_s) for s in kept.units[0].steps] == [(1, {"auc": 0.75}, 1_800_000_000.5)]
    assert isinstance(kept.units[0].model, Constant)
    assert kept.units[0].example.shape == (train.EXAMPLE_ROWS, len(FEATURES))
    with pytest.raises(Unavailable):
        deliver_first(settings, str(settings.mlflow.tracking_uri))
    assert len(outbox.entries()) == 1


def test_the_drill_needs_no_data_of_the_users(project: Path, tmp_path: Path, split: Split) -> None:
    """Where there are no features yet, rows are simulated; the same two weeks, each with frauds."""
    (project / "data/features/table.parquet").unlink()
    (project / "data/features/manifest.json").unlink()
    folder = tmp_path / "table"
    folder.mkdir()
    units = WORKLOAD.prepare(project, folder)
    assert {name: unit.steps for name, unit in units.items()} == dict.fromkeys(SMALL, STEPS)
    rows = pl.read_parquet(open_verified(folder).path("table.parquet"))
    days = rows["tx_datetime"].dt.date()
    assert (days.min(), days.max()) == (split.start, split.start + datetime.timedelta(days=13))
    assert rows[LABEL].sum() > 100
