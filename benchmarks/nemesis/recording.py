"""Writes a training into MLflow as a pipeline does, and asks MLflow's server by other means what is there."""

import logging

from benchmarks.nemesis.verdicts import Recorded
from benchmarks.undisturbed import Kit
from benchmarks.witness import Witness
from koboshi.drills.tracking.tracker_witness import TrackerWitness
from koboshi.journal import Journal
from koboshi.ledger import steps
from koboshi.registry.mlflow_runs import record_training
from koboshi.registry.progress import StepRecord, UnitRecord
from koboshi.training.pandas_rows import views
from koboshi.training.progress.observer import recoveries

EXPERIMENT = "nemesis"
logging.getLogger("mlflow").setLevel(logging.ERROR)  # what it warns of for each model would drown the faults


def record(url: str, kit: Kit, witness: Witness) -> None:
    """Parameters, every step's metrics, the recoveries and the models, under the training's key."""
    spec, models = witness.spec, kit.models(witness.final_states())
    told = recoveries(Journal(spec.place.journal), spec.key)
    example = views(spec.table, kit.rows).learn.features.head(5)
    units = [
        UnitRecord(name, {"steps": unit.steps}, _steps(witness, name), told.get(name, ()), models[name], example)
        for name, unit in spec.units.items()
    ]
    record_training(url, EXPERIMENT, spec.key, {"kit": kit.name}, units)


def recorded(url: str, key: str) -> Recorded:
    """All runs under a key, wherever they came from."""
    witness = TrackerWitness(url, EXPERIMENT)
    runs = [run for run in witness.runs() if run.key == key]
    children = [run for run in runs if run.unit]
    return Recorded(
        len(runs) - len(children),
        [(run.unit, run.status, {name: witness.history(run, name) for name in run.metrics}) for run in children],
    )


def _steps(witness: Witness, unit: str) -> list[StepRecord]:
    done = steps.committed(witness.ledger, witness.spec.key, unit)
    return [StepRecord(step.checkpoint.step, step.metrics, step.committed_at) for step in done]
