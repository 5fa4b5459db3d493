"""promote: the best candidate of the evaluation becomes a version, and champion if it is not worse. Safe to run again.

    python -m pipelines.promote register    only make sure that the candidate is a version
    python -m pipelines.promote compare     and judge it beside the champion and what was served before; nothing moves
    python -m pipelines.promote             and move the alias, if it may

A refusal is an outcome, not a failure: exit 0. The last line of the output is the outcome as JSON.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from koboshi.datasets.build import open_verified
from koboshi.errors import BadInput
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_bench import compare
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.release import SlotState, release, served_before, settle_slot
from koboshi.settings import Settings, load_settings, required
from koboshi.sinks.terminal import to_terminal
from pipelines.comparing import bench_of, max_drop
from pipelines.evaluate import EVALUATION
from pipelines.recording import deliver_first

VERBS = ("register", "compare", "promote")


@dataclasses.dataclass(frozen=True, slots=True)
class Best:
    """The best candidate of an evaluation: its training's key, and its unit."""

    key: str
    unit: str


def best_candidate(project: Path) -> Best:
    """Whom data/evaluation found to be the best; raises `BadInput` when it is not about what data/training holds."""
    evaluation, training = (open_verified(project / "data" / name) for name in ("evaluation", "training"))
    judged = json.loads(evaluation.path(EVALUATION).read_text())
    trained = json.loads(training.path("training.json").read_text())
    if judged["key"] != trained["key"]:
        raise BadInput("data/evaluation judges another training than data/training: run `dvc repro evaluate`.")
    return Best(judged["key"], judged["best"])


def main() -> None:
    """Register, compare and promote, as far as the verb says."""
    verb = _verb()
    settings = load_settings()
    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model)
    deliver_first(settings, registry.tracking_uri)
    best = best_candidate(settings.project)
    candidate, made = registry.register(settings.serving.model, best.key, best.unit)
    _say(f"Candidate {best.unit} of training {best.key[:8]} {'is now' if made else 'was already'} {_named(candidate)}.")
    if verb == "register":
        return _outcome("registered" if made else "known", candidate)
    ledger = Ledger(settings.ledger_url)
    try:
        _promote(ledger, registry, candidate, settings, only_compare=verb == "compare")
    finally:
        ledger.close()


def _promote(
    ledger: Ledger, registry: MlflowRegistry, candidate: ModelRef, settings: Settings, *, only_compare: bool
) -> None:
    name = settings.serving.slot
    slot = _say_repairs(name, settle_slot(ledger, registry, name))
    champion = None if slot.version is None else registry.version(slot.version)
    served = served_before(ledger, registry, name)
    bench = bench_of(registry, settings.project, settings.state_dir)
    verdict = compare(bench, candidate, champion, served, max_drop(settings.project), to_terminal)
    _say(f"Verdict: {verdict.outcome}: {verdict.reason}")
    if only_compare or verdict.outcome != "promote":
        return _outcome(verdict.outcome, candidate, champion, verdict.reason)
    _say_repairs(name, release(ledger, registry, name, slot.version, candidate.version))
    _say(f"{_named(candidate)} is {name} now.")
    return _outcome("promoted", candidate, champion, verdict.reason)


def _verb() -> str:
    parser = argparse.ArgumentParser(prog="python -m pipelines.promote", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", nargs="?", choices=VERBS, default="promote", help="how far to go (default: promote)")
    return str(parser.parse_args().verb)


def _named(ref: ModelRef) -> str:
    return f"{ref.name} version {ref.version}"


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def _say_repairs(name: str, slot: SlotState) -> SlotState:
    for repair in slot.repaired:
        _say(f"Slot {name}: {repair}.")
    return slot


def _outcome(outcome: str, candidate: ModelRef, champion: ModelRef | None = None, reason: str = "") -> None:
    described: dict[str, Any] = {"outcome": outcome, "candidate": candidate.as_json(), "reason": reason}
    described["champion_before"] = champion.as_json() if champion else None
    _say(json.dumps(described))


if __name__ == "__main__":
    run_and_exit(main, "promote")
