"""The stage `train`: the declared units, trained on Ray under one key and recorded in MLflow; publishes data/train.

Safe to run again, and by many at once: the key is the digest of all that decides the outcome, so whoever runs this gets
the same training, by whatever attempts. Interrupted (Ctrl-C, SIGTERM), it leaves the job running, and the next run
attaches to it.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from koboshi.datasets.build import building
from koboshi.errors import BadInput
from koboshi.formats import manifest
from koboshi.formats.manifest import Dataset
from koboshi.formats.polars_tables import write_table
from koboshi.journal import Journal
from koboshi.ledger import Ledger, steps
from koboshi.ledger.steps import CommittedStep
from koboshi.project.code_file import unit_code
from koboshi.project.declared import TRAIN, Training
from koboshi.project.judging import held_out_rows, model_of
from koboshi.project.project import DATA, Project
from koboshi.registry.facts import facts_of
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingPlan, TrainingRecord, UnitRecord, telling, to_mlflow
from koboshi.settings import Settings, load_settings, required
from koboshi.sinks.terminal import to_terminal
from koboshi.training import TrainingSpec, UnitSpec, checkpoints
from koboshi.training.attach import TrainingResult, ensure_trained
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.on_ray.ray_submit import RayJobs, submission
from koboshi.training.progress.observer import recoveries
from koboshi.training.spec import make_unit, training_key

FORMAT_VERSIONS = {"manifest": manifest.FORMAT_VERSION, "checkpoint": checkpoints.FORMAT_VERSION}
EXAMPLE_ROWS = 5
DESCRIPTION = "training.json"


def train(project: Project, training: Training) -> None:
    """Have the units trained, record them in MLflow (in the outbox while it is away), publish data/train."""
    settings, table = load_settings(project.folder), project.dataset(training.on)
    spec = specified(project, training, settings, table)
    _check(spec.units)
    say(f"Training {spec.key[:16]}: {', '.join(f'{name} ({unit.steps} steps)' for name, unit in spec.units.items())}.")
    with _shown_in_mlflow(settings, spec):
        result = _trained(settings, spec)
    if not result.trained:
        say("All its steps are committed already: nothing is trained.")
    states = {name: read_checkpoint(spec.place.store_url, done[-1].checkpoint) for name, done in result.units.items()}
    record(settings, training, spec, result, states, table)
    with building(project.folder / DATA / TRAIN) as folder:
        write_training(folder, spec, predictions(training, spec, states, table))


def specified(project: Project, training: Training, settings: Settings, table: Dataset) -> TrainingSpec:
    """What the job gets.

    The key covers the dataset's digest, the units with their parameters, their code and what that reaches, names and
    versions of the distributions that it imports, the threads, and the versions of koboshi's durable formats.
    """
    units = {name: unit.spec(training.held_out) for name, unit in training.units.items()}
    code, ref = unit_code(project.folder, training), table.ref(project.folder)
    environment = hashlib.sha256(json.dumps([code.distributions, FORMAT_VERSIONS], sort_keys=True).encode()).hexdigest()
    key = training_key(ref, units, code=code.sha256, environment=environment, threads=training.threads)
    return TrainingSpec(key, ref, units, settings.run_config, training.threads)


def _check(units: Mapping[str, UnitSpec]) -> None:
    """Make each unit once, here: parameters that do not fit are refused before a job is submitted."""
    for name, unit in units.items():
        try:
            make_unit(unit.factory, unit.params)
        except TypeError as error:
            raise BadInput(f"the parameters of unit {name} do not fit: {error}.") from error


def final_states(settings: Settings, key: str, units: Iterable[str]) -> dict[str, bytes]:
    """The final state of each unit of a training, verified. Raises `BadInput` where the ledger knows none."""
    found, store = {}, settings.run_config.store_url
    with closing(Ledger(settings.ledger_url)) as ledger:
        for name in units:
            if not (done := steps.committed(ledger, key, name)):
                raise BadInput(f"the ledger knows no step of {name} of training {key[:16]}: run `dvc repro -f train`.")
            found[name] = read_checkpoint(store, done[-1].checkpoint)
    return found


def predictions(
    training: Training, spec: TrainingSpec, states: Mapping[str, bytes], table: Dataset
) -> dict[str, NDArray[Any]]:
    """What each unit's model predicts for the rows that judge: probabilities, where it has them."""
    found = {}
    with threadpool_limits(limits=spec.threads):
        for name, unit in training.units.items():
            model = model_of(unit, spec.units[name], states[name], table)
            asked = getattr(model, "predict_proba", None) or model.predict
            found[name] = np.asarray(asked(held_out_rows(training, unit, table).features))
    return found


def write_training(folder: Path, spec: TrainingSpec, predicted: Mapping[str, NDArray[Any]]) -> None:
    """What the training came of and what it predicts: the same bytes, whoever trained and whatever was killed.

    The states themselves stay in the checkpoint store: the bytes of two equal models may differ.
    """
    for name, values in predicted.items():
        write_table(pl.DataFrame({"prediction": values}), folder / f"{name}.parquet")
    described = {"key": spec.key, "units": {name: unit.facts() for name, unit in spec.units.items()}}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")


def say(line: str) -> None:
    """A line of progress, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _trained(settings: Settings, spec: TrainingSpec) -> TrainingResult:
    jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
    with closing(Ledger(settings.ledger_url)) as ledger:
        return ensure_trained(spec, jobs, ledger, submission(spec), to_terminal)


def _shown_in_mlflow(settings: Settings, spec: TrainingSpec) -> AbstractContextManager[None]:
    """While the block runs, the training's steps appear in MLflow soon after they are committed."""
    if (uri := settings.mlflow.tracking_uri) is None:
        return nullcontext()
    units = {name: _flat(unit) for name, unit in spec.units.items()}
    facts = facts_of(settings.project, spec.table, spec.place.journal, spec.key)
    plan = TrainingPlan(settings.serving.model, spec.key, {"threads": spec.threads}, units, facts)
    return telling(settings.ledger_url, lambda ledger: to_mlflow(ledger, uri, plan), to_terminal)


def _units(
    training: Training, spec: TrainingSpec, result: TrainingResult, states: Mapping[str, bytes], table: Dataset
) -> list[UnitRecord]:
    told = recoveries(Journal(spec.place.journal), spec.key)
    found = []
    for name, unit in training.units.items():
        example = held_out_rows(training, unit, table).features.head(EXAMPLE_ROWS)
        model = model_of(unit, spec.units[name], states[name], table)
        done = result.units[name]
        found.append(UnitRecord(name, _flat(spec.units[name]), _steps(done), told.get(name, ()), model, example))
    return found


def record(
    settings: Settings,
    training: Training,
    spec: TrainingSpec,
    result: TrainingResult,
    states: Mapping[str, bytes],
    table: Dataset,
) -> None:
    """Have the training in MLflow, or in the outbox while MLflow is away: that is no reason to train again."""
    from koboshi.registry.mlflow_delivery import hand_over

    units = _units(training, spec, result, states, table)
    facts = facts_of(settings.project, spec.table, spec.place.journal, spec.key)
    done = TrainingRecord(settings.serving.model, spec.key, {"threads": spec.threads}, units, facts)
    with closing(Ledger(settings.ledger_url)) as ledger:
        hand_over(Outbox.of(settings.state_dir), ledger, settings.mlflow.tracking_uri, done, to_terminal)


def _flat(unit: UnitSpec) -> dict[str, Any]:
    """The parameters as MLflow shows them: nested ones by dotted names."""
    return {**dict(_dotted(unit.params)), "steps": unit.steps}


def _dotted(params: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in params.items():
        found += _dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]
    return found


def _steps(committed: list[CommittedStep]) -> list[StepRecord]:
    return [StepRecord(step.checkpoint.step, step.metrics, step.committed_at) for step in committed]
