"""promote: the best candidate of the evaluation becomes a version, and champion if it is not worse. Safe to run again.

    python -m pipelines.promote register    only make sure that the candidate is a version
    python -m pipelines.promote compare     and judge it beside the champion, on the same rows; nothing moves
    python -m pipelines.promote             and move the alias, if it may

A refusal is an outcome, not a failure: exit 0. The last line of the output is the outcome as JSON.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from koboshi.datasets.manifest import open_verified
from koboshi.datasets.params import Params, load_params
from koboshi.errors import BadInput
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.promotion import Contender, Verdict
from koboshi.registry.promotion import judge as judge_contenders
from koboshi.registry.release import SlotState, release, settle_slot
from koboshi.settings import load_settings, required
from pipelines.candidates import features_of, probability
from pipelines.columns import TABLE
from pipelines.evaluate import EVALUATION, EvaluateParams
from pipelines.judging import judge
from pipelines.recording import deliver_first
from pipelines.splits import Split, test_rows

SLOT = "champion"
VERBS = ("register", "compare", "promote")


class PromoteParams(Params):
    """The block `promote` of params.yaml."""

    max_drop: float = Field(ge=0)


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


def compare(registry: MlflowRegistry, candidate: ModelRef, champion: ModelRef | None, project: Path) -> Verdict:
    """Both versions, loaded verified, judged on the test rows of data/features by what the candidate was chosen by."""
    if champion is not None and champion.version == candidate.version:
        return Verdict("keep", f"version {candidate.version} is the champion already.")
    rows = _rows(project)
    score = [_contender(registry, ref, rows, project) for ref in (candidate, champion) if ref]
    max_drop = load_params(project, "promote", PromoteParams).max_drop
    return judge_contenders(score[0], score[1] if champion else None, max_drop)


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
        _promote(ledger, registry, candidate, settings.project, only_compare=verb == "compare")
    finally:
        ledger.close()


def _promote(
    ledger: Ledger, registry: MlflowRegistry, candidate: ModelRef, project: Path, *, only_compare: bool
) -> None:
    slot = _say_repairs(settle_slot(ledger, registry, SLOT))
    champion = None if slot.version is None else registry.version(slot.version)
    verdict = compare(registry, candidate, champion, project)
    _say(f"Verdict: {verdict.outcome}: {verdict.reason}")
    if only_compare or verdict.outcome != "promote":
        return _outcome(verdict.outcome, candidate, champion, verdict.reason)
    _say_repairs(release(ledger, registry, SLOT, slot.version, candidate.version))
    _say(f"{_named(candidate)} is {SLOT} now.")
    return _outcome("promoted", candidate, champion, verdict.reason)


def _contender(registry: MlflowRegistry, ref: ModelRef, rows: pl.DataFrame, project: Path) -> Contender:
    params = load_params(project, "evaluate", EvaluateParams)
    numbers = params.model_dump(exclude={"select_by"})
    with verified_model(registry.tracking_uri, registry.source(ref), ref.sha256, _named(ref)) as model:
        judgement = judge(rows, probability(model, features_of(rows)), **numbers)
    return Contender(ref.version, judgement.metrics[params.select_by])


def _rows(project: Path) -> pl.DataFrame:
    table = pl.read_parquet(open_verified(project / "data" / "features").path(TABLE))
    return test_rows(table, load_params(project, "split", Split))


def _verb() -> str:
    parser = argparse.ArgumentParser(prog="python -m pipelines.promote", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", nargs="?", choices=VERBS, default="promote", help="how far to go (default: promote)")
    return str(parser.parse_args().verb)


def _named(ref: ModelRef) -> str:
    return f"{ref.name} version {ref.version}"


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def _say_repairs(slot: SlotState) -> SlotState:
    for repair in slot.repaired:
        _say(f"Slot {SLOT}: {repair}.")
    return slot


def _outcome(outcome: str, candidate: ModelRef, champion: ModelRef | None = None, reason: str = "") -> None:
    described: dict[str, Any] = {"outcome": outcome, "candidate": candidate.as_json(), "reason": reason}
    described["champion_before"] = champion.as_json() if champion else None
    _say(json.dumps(described))


if __name__ == "__main__":
    run_and_exit(main, "promote")
