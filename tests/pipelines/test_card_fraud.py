"""The declarations without Ray: what is asked for, under which key, and what becomes of a training without MLflow."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from koboshi.datasets.build import open_verified
from koboshi.errors import BadInput, NotConfigured, Unavailable
from koboshi.ledger.steps import CommittedStep
from koboshi.project.outbox_first import deliver_first
from koboshi.project.project import Project
from koboshi.project.training_stage import EXAMPLE_ROWS, predictions, record, specified, train, write_training
from koboshi.refs import CheckpointRef
from koboshi.registry.outbox import Outbox
from koboshi.settings import load_settings
from koboshi.training import TrainingSpec
from koboshi.training.attach import TrainingResult
from koboshi.training.spec import make_unit
from pipelines import card_fraud
from pipelines.candidates import TrainParams, declared
from pipelines.columns import FEATURES
from pipelines.drill_workload import STEPS, UNITS, WEEKS, WORKLOAD
from tests.support.candidate_table import candidate_table
from tests.support.projects import ROOT, copy_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, with divided rows."""
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR", "KOBOSHI_RAY__JOBS_URL"):
        monkeypatch.delenv(name, raising=False)
    copy_project(tmp_path)
    (tmp_path / "data" / "split").mkdir(parents=True)
    candidate_table(tmp_path / "data" / "split")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def project_in(folder: Path) -> Project:
    """The declarations of card_fraud, for another folder."""
    project = Project(folder)
    project.stages, project.judging = card_fraud.project.stages, card_fraud.project.judging
    project.train(
        on="split",
        units=lambda: declared(project.params("train", TrainParams)),
        threads=lambda: int(project.params("train")["threads"]),
    )
    return project


def spec_in(folder: Path) -> TrainingSpec:
    project = project_in(folder)
    assert project.training is not None
    return specified(project, project.training, load_settings(folder), project.dataset("split"))


def change(folder: Path, block: str, **values: Any) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params[block] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def test_the_committed_parameters_make_the_three_candidates(folder: Path) -> None:
    units = spec_in(folder).units
    assert set(units) == {"logistic", "forest", "boosting"}
    assert all(unit.steps >= 8 for unit in units.values())
    assert units["forest"].params["params"]["random_state"] == 0
    assert json.loads(json.dumps(dataclasses.asdict(units["forest"]))) == dataclasses.asdict(units["forest"])


def make_units(folder: Path) -> None:
    for unit in spec_in(folder).units.values():
        make_unit(unit.factory, unit.params)


@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        ({"forest": {"steps": 3, "trees_a_step": 0}}, "trees_a_step"),
        ({"logistic": {"steps": 3, "alpha": 1e-4, "epochs_a_step": 1, "depth": 3}}, "depth"),
        ({"oracle": {"steps": 3}}, "oracle"),
        ({"forest": {}}, "steps"),
        ({}, "candidates"),
    ],
)
def test_a_candidate_that_does_not_fit_is_one_sentence(folder: Path, candidates: dict[str, Any], said: str) -> None:
    change(folder, "train", candidates=candidates)
    with pytest.raises(BadInput, match=said):
        make_units(folder)


def test_the_key_is_the_same_in_every_clone(folder: Path) -> None:
    """I6: no path, time or attempt is in it."""
    here = spec_in(folder).key
    elsewhere = folder / "a" / "clone"
    elsewhere.mkdir(parents=True)
    copy_project(elsewhere)
    (elsewhere / "data").symlink_to(folder / "data")
    assert spec_in(elsewhere).key == here


def test_whatever_decides_the_outcome_changes_the_key(folder: Path) -> None:
    """What a unit's own code and versions do is tests/unit/project's."""
    keys = [spec_in(folder).key]
    change(folder, "train", seed=1)
    keys.append(spec_in(folder).key)
    change(folder, "train", threads=2)
    keys.append(spec_in(folder).key)
    candidate_table(folder / "data" / "split", WEEKS)
    keys.append(spec_in(folder).key)
    assert len(set(keys)) == len(keys)


def test_without_ray_the_stage_says_how_to_start_it(folder: Path) -> None:
    project = project_in(folder)
    assert project.training is not None
    with pytest.raises(NotConfigured, match="koboshi up"):
        train(project, project.training)


def test_a_training_that_ends_while_mlflow_is_away_is_done_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is on disk, with models and metrics; those who need it in MLflow say 75."""
    monkeypatch.setenv("KOBOSHI_MLFLOW__TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings, spec = load_settings(folder), spec_in(folder)
    training = project_in(folder).training
    assert training is not None
    states = {name: trained(spec, name, folder) for name in spec.units}
    step = CommittedStep(CheckpointRef(spec.key, "forest", 1, "1.ckpt", "0" * 64), {"auc": 0.75}, 1_800_000_000.5)
    result = TrainingResult({name: [step] for name in spec.units}, trained=True)
    record(settings, training, spec, result, states, open_verified(folder / "data" / "split"))
    assert "MLflow is away" in (said := capsys.readouterr().out)
    assert "1 entry waits in the outbox, delivered by the next train, evaluate or promote" in said
    outbox = Outbox.of(settings.state_dir)
    [entry] = outbox.entries()
    kept = outbox.read(entry)
    assert (kept.experiment, kept.key, kept.params["threads"]) == ("card-fraud", spec.key, "1")
    assert {unit.name for unit in kept.units} == set(spec.units)
    assert [(s.step, s.metrics, s.at_s) for s in kept.units[0].steps] == [(1, {"auc": 0.75}, 1_800_000_000.5)]
    assert np.isfinite(kept.units[0].model.predict_proba(kept.units[0].example)).all()
    assert kept.units[0].example.shape == (EXAMPLE_ROWS, len(FEATURES))
    with pytest.raises(Unavailable):
        deliver_first(settings, str(settings.mlflow.tracking_uri))
    assert len(outbox.entries()) == 1


def test_what_is_published_depends_on_the_models_alone(folder: Path) -> None:
    """The same training gives the same bytes, whoever did it: no state is in it, whose bytes may differ."""
    spec, training = spec_in(folder), project_in(folder).training
    assert training is not None
    table, written = open_verified(folder / "data" / "split"), []
    for name in ("one", "two"):
        states = {unit: trained(spec, unit, folder) for unit in spec.units}
        (folder / name).mkdir()
        write_training(folder / name, spec, predictions(training, spec, states, table))
        written.append({path.name: path.read_bytes() for path in (folder / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"training.json", "logistic.parquet", "forest.parquet", "boosting.parquet"}
    described = json.loads(written[0]["training.json"])
    assert (described["key"], set(described["units"])) == (spec.key, set(spec.units))


def trained(spec: TrainingSpec, name: str, folder: Path) -> bytes:
    """The state of a unit after one step."""
    unit = make_unit(spec.units[name].factory, spec.units[name].params)
    unit.start(dataclasses.replace(spec.table, path=str(folder / "data" / "split")))
    unit.step(1)
    return unit.dump()


def test_the_drill_needs_no_data_of_the_users(tmp_path: Path) -> None:
    """Rows are simulated: a week to learn from and one to judge by, each with frauds."""
    units = WORKLOAD.prepare(ROOT, tmp_path)
    assert {name: unit.steps for name, unit in units.items()} == dict.fromkeys(UNITS, STEPS)
    dataset = open_verified(tmp_path)
    learn, judge = (pl.read_parquet(dataset.path(f"{name}.parquet")) for name in ("learn", "judge"))
    days = learn["tx_datetime"].dt.date()
    assert (days.min(), days.n_unique()) == (WEEKS.start, 7)
    assert judge["tx_datetime"].dt.date().min() == WEEKS.test_start
    assert min(learn["is_fraud"].sum(), judge["is_fraud"].sum()) > 100
