"""train: the candidates, trained on Ray under one key, recorded in MLflow; publishes their scores of the test week.

Safe to run again, and by many at once: the key is the digest of all that decides the outcome, so whoever runs this gets
the same training, by whatever attempts. Interrupted (Ctrl-C, SIGTERM), it leaves the job running, and the next run
attaches to it.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import polars as pl
import typer
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from koboshi.datasets.build import building, open_verified
from koboshi.datasets.params import Params, load_params
from koboshi.errors import BadInput
from koboshi.exits import run_and_exit
from koboshi.files import sha256_of
from koboshi.formats.manifest import Dataset
from koboshi.formats.polars_tables import write_table
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.ledger.steps import CommittedStep
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingPlan, TrainingRecord, UnitRecord, telling, to_mlflow
from koboshi.settings import Settings, load_settings, required
from koboshi.sinks.terminal import to_terminal
from koboshi.training import TrainingSpec, UnitSpec
from koboshi.training.attach import TrainingResult, ensure_trained
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.on_ray.ray_submit import RayJobs, submission
from koboshi.training.progress.observer import recoveries
from koboshi.training.spec import training_key
from koboshi.training.unit import make_unit
from pipelines.candidates import features_of, fitted_model, probability
from pipelines.columns import KEYS, TABLE
from pipelines.splits import Split, test_week

CODE = (
    "pipelines/candidates.py",
    "pipelines/columns.py",
    "pipelines/splits.py",
    "src/koboshi/training/pandas_rows.py",
    "src/koboshi/training/sklearn_recipes.py",
    "src/koboshi/training/sklearn_units.py",
)
LOCK = "requirements.lock"
EXAMPLE_ROWS = 5


class CandidateParams(BaseModel):
    """How many steps a candidate takes; what else is given is its factory's."""

    model_config = ConfigDict(frozen=True, extra="allow")

    steps: int = Field(ge=1)


class TrainParams(Params):
    """The block `train` of params.yaml."""

    seed: int = Field(ge=0)
    threads: int = Field(ge=1)
    candidates: Mapping[str, CandidateParams] = Field(min_length=1)


def candidate_units(params: TrainParams, split: Split) -> dict[str, UnitSpec]:
    """The candidates as units. Raises `BadInput` for a name or a parameter that pipelines/candidates.py lacks."""
    units = {}
    for name, candidate in params.candidates.items():
        own = {"split": split.model_dump(mode="json"), "seed": params.seed, **(candidate.model_extra or {})}
        units[name] = UnitSpec(f"pipelines.candidates:{name}", own, candidate.steps)
        try:
            make_unit(units[name].factory, own)
        except TypeError as error:
            raise BadInput(f"train.candidates.{name} in params.yaml does not fit: {error}.") from error
    return units


def training_spec(settings: Settings, features: Dataset, params: TrainParams, split: Split) -> TrainingSpec:
    """What the job gets; the key covers the table, the units, their code, the environment's lock and the threads."""
    project = settings.project
    units, table = candidate_units(params, split), features.ref(project)
    code = hashlib.sha256("".join(sha256_of(project / name) for name in CODE).encode()).hexdigest()
    key = training_key(table, units, code=code, lock=sha256_of(project / LOCK), threads=params.threads)
    return TrainingSpec(key, table, units, settings.run_config, params.threads)


def final_models(spec: TrainingSpec, result: TrainingResult) -> dict[str, Any]:
    """The candidates' models, from their final checkpoints, whose digests are checked."""
    return {
        name: fitted_model(read_checkpoint(spec.place.store_url, steps[-1].checkpoint))
        for name, steps in result.units.items()
    }


def score(rows: pl.DataFrame, models: Mapping[str, Any], threads: int) -> pl.DataFrame:
    """P(fraud) of each row by each candidate."""
    features = features_of(rows)
    with threadpool_limits(limits=threads):
        columns = [pl.Series(name, probability(model, features), pl.Float64) for name, model in models.items()]
    return rows.select(KEYS[0]).with_columns(columns)


def write_training(folder: Path, spec: TrainingSpec, scores: pl.DataFrame) -> None:
    """The same training gives the same bytes, whoever did it and however often it was interrupted."""
    write_table(scores, folder / "scores.parquet")
    candidates = {name: {**unit.params, "steps": unit.steps} for name, unit in spec.units.items()}
    described = {"key": spec.key, "candidates": candidates}
    (folder / "training.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")


def record(
    settings: Settings, spec: TrainingSpec, result: TrainingResult, models: Mapping[str, Any], rows: pl.DataFrame
) -> None:
    """Have the training in MLflow, or in the outbox while MLflow is away: that is no reason to train again."""
    from koboshi.registry.mlflow_delivery import hand_over

    example, told = features_of(rows.head(EXAMPLE_ROWS)), recoveries(Journal(spec.place.journal), spec.key)
    units = [
        UnitRecord(name, _flat(spec.units[name]), _steps(result.units[name]), told.get(name, ()), model, example)
        for name, model in models.items()
    ]
    training = TrainingRecord(settings.serving.model, spec.key, _shared(spec), units)
    with closing(Ledger(settings.ledger_url)) as ledger:
        hand_over(Outbox.of(settings.state_dir), ledger, settings.mlflow.tracking_uri, training, to_terminal)


def told_of(settings: Settings, spec: TrainingSpec) -> AbstractContextManager[None]:
    """While the block runs, the training's steps appear in MLflow soon after they are committed."""
    if (uri := settings.mlflow.tracking_uri) is None:
        return nullcontext()
    units = {name: _flat(unit) for name, unit in spec.units.items()}
    plan = TrainingPlan(settings.serving.model, spec.key, _shared(spec), units)
    return telling(settings.ledger_url, lambda ledger: to_mlflow(ledger, uri, plan), to_terminal)


def main() -> None:
    """Have the candidates trained, record them, publish data/training."""
    settings = load_settings()
    params = load_params(settings.project, "train", TrainParams)
    split = load_params(settings.project, "split", Split)
    jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
    features = open_verified(settings.project / "data" / "features")
    spec = training_spec(settings, features, params, split)
    typer.echo(
        f"Training {spec.key[:16]}: {', '.join(f'{name} ({unit.steps} steps)' for name, unit in spec.units.items())}."
    )
    with told_of(settings, spec):
        result = ensure_trained(spec, jobs, Ledger(settings.ledger_url), submission(spec), to_terminal)
    if not result.trained:
        typer.echo("All its steps are committed already: nothing is trained.")
    rows, models = test_week(pl.read_parquet(features.path(TABLE)), split), final_models(spec, result)
    record(settings, spec, result, models, rows)
    with building(settings.project / "data" / "training") as folder:
        write_training(folder, spec, score(rows, models, spec.threads))
    typer.echo(f"data/training has {rows.height:,} scores of the test week for each of {len(models)} candidates.")


def _flat(unit: UnitSpec) -> dict[str, Any]:
    return {**{name: value for name, value in unit.params.items() if name != "split"}, "steps": unit.steps}


def _shared(spec: TrainingSpec) -> dict[str, Any]:
    return {**next(iter(spec.units.values())).params["split"], "threads": spec.threads}


def _steps(committed: list[CommittedStep]) -> list[StepRecord]:
    return [StepRecord(step.checkpoint.step, step.metrics, step.committed_at) for step in committed]


if __name__ == "__main__":
    run_and_exit(main, "train")
