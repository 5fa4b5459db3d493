"""promote: the unit that is to be served becomes a version, and champion if it is not worse. Safe to run again.

    python -m koboshi.project.promotion register    only make sure that the candidate is a version
    python -m koboshi.project.promotion compare     and judge it beside all that was served before; nothing moves
    python -m koboshi.project.promotion             and move the alias, if it may

A refusal is an outcome, not a failure: exit 0. The last line of the output is the outcome as JSON.
"""

import argparse
import dataclasses
import json
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from koboshi.errors import BadInput, NotConfigured
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.project.code_file import deciding, judging_code
from koboshi.project.declared import EVALUATE, TRAIN, Training
from koboshi.project.evaluation_stage import EVALUATION
from koboshi.project.judging import judged
from koboshi.project.outbox_first import deliver_first
from koboshi.project.project import Project, load_project
from koboshi.project.training_stage import DESCRIPTION, say
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_bench import Bench, compare
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.release import (
    Scores,
    SlotState,
    release,
    served_before,
    settle_slot,
)
from koboshi.settings import Settings, load_settings, required
from koboshi.sinks.terminal import to_terminal

VERBS = ("register", "compare", "promote")


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a promotion: `registered`, `known`, `keep`, `refuse`, or `promoted`; `reason` is one sentence."""

    outcome: str
    candidate: ModelRef
    champion_before: ModelRef | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return dataclasses.asdict(self)


def bench_of(registry: MlflowRegistry, project: Project, training: Training, settings: Settings, unit: str) -> Bench:
    """The rows that judge, and the deciding metric; known scores are found again in the state folder."""
    table, metric = project.dataset(training.on), deciding(project, training)
    measure = {
        "rows": table.sha256,
        "held_out": training.held_out,
        "columns": [*training.units[unit].features, training.units[unit].label],
        "metric": metric,
        "params": {block: project.params(block) for block in (project.judging.params if project.judging else ())},
        "code": judging_code(project, training).as_json(),
    }

    def score(model: Any) -> float:
        with TemporaryDirectory() as out:
            return judged(project, training, {unit: model}, table, Path(out))[unit][metric]

    return Bench(registry, Scores(settings.state_dir, measure), score)


def judged_unit(project: Project) -> tuple[str, str]:
    """The training's key, and the unit that is to be served; `BadInput` where data/evaluate is of another training."""
    judged = json.loads(project.dataset(EVALUATE).path(EVALUATION).read_text())
    if judged["key"] != json.loads(project.dataset(TRAIN).path(DESCRIPTION).read_text())["key"]:
        raise BadInput("data/evaluate judges another training than data/train: run `dvc repro evaluate`.")
    return judged["key"], judged["best"]


def promote(settings: Settings, project: Project, verb: str) -> Outcome:
    """Register, compare and promote, as far as the verb says.

    Key and commit: those of `MlflowRegistry.register` and of `release`; a crash anywhere is finished by the next call.
    """
    if (training := project.training) is None:
        raise NotConfigured("the project declares no training: add project.train(…) to its module.")
    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model)
    deliver_first(settings, registry.tracking_uri)
    key, unit = judged_unit(project)
    candidate, made = registry.register(settings.serving.model, key, unit)
    say(f"Candidate {unit} of training {key[:8]} {'is now' if made else 'was already'} {_named(candidate)}.")
    if verb == "register":
        return Outcome("registered" if made else "known", candidate)
    with closing(Ledger(settings.ledger_url)) as ledger:
        slot = _say_repairs(settings.serving.slot, settle_slot(ledger, registry, settings.serving.slot))
        champion = None if slot.version is None else registry.version(slot.version)
        served = served_before(ledger, registry, settings.serving.slot)
        bench = bench_of(registry, project, training, settings, unit)
        verdict = compare(bench, candidate, champion, served, training.max_drop, to_terminal)
        say(f"Verdict: {verdict.outcome}: {verdict.reason}")
        if verb == "compare" or verdict.outcome != "promote":
            return Outcome(verdict.outcome, candidate, champion, verdict.reason)
        name = settings.serving.slot
        _say_repairs(name, release(ledger, registry, name, slot.version, candidate.version))
    say(f"{_named(candidate)} is {name} now.")
    return Outcome("promoted", candidate, champion, verdict.reason)


def _named(ref: ModelRef) -> str:
    return f"{ref.name} version {ref.version}"


def _say_repairs(name: str, slot: SlotState) -> SlotState:
    for repair in slot.repaired:
        say(f"Slot {name}: {repair}.")
    return slot


def main() -> None:
    """Do what the command line says, and print the outcome."""
    parser = argparse.ArgumentParser(prog="python -m koboshi.project.promotion", description="Promote a candidate.")
    parser.add_argument("verb", nargs="?", choices=VERBS, default="promote", help="how far to go (default: promote)")
    settings = load_settings()
    project = load_project(settings.project, settings.pipeline.named)
    say(json.dumps(promote(settings, project, parser.parse_args().verb).as_json()))


if __name__ == "__main__":
    run_and_exit(main, "promote")
