"""promote: the unit that is to be served becomes a version, and champion if it is not worse. Safe to run again.

    python -m koboshi.project.promotion register    only make sure that the candidate is a version
    python -m koboshi.project.promotion compare     and judge it beside all that was served before; nothing moves
    python -m koboshi.project.promotion             and move the alias, if it may

A refusal is an outcome, not a failure: exit 0. The last line of the output is the outcome as JSON.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from koboshi.errors import BadInput, NotConfigured, Permanent
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.project.code_file import judging_code
from koboshi.project.declared import EVALUATE, Training, metric_name
from koboshi.project.evaluation_stage import EVALUATION
from koboshi.project.judging import held_out_rows, score
from koboshi.project.outbox_first import deliver_first
from koboshi.project.project import Project, load_project
from koboshi.project.training_stage import say
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.release import (
    Contender,
    PromotionVerdict,
    Scores,
    SlotState,
    judge_candidate,
    release,
    served_before,
    settle_slot,
)
from koboshi.settings import Settings, load_settings, required

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


class Bench:
    """The rows that judge versions, and the scores that are known already."""

    def __init__(self, registry: MlflowRegistry, project: Project, training: Training, settings: Settings, unit: str):
        """Read the rows of one unit; a score that was measured on them before is found again in the state folder."""
        table = project.dataset(training.on)
        self._registry, self._metric = registry, training.metric
        self._rows = held_out_rows(training, training.units[unit], table)
        measure = {
            "rows": table.sha256,
            "held_out": training.held_out,
            "columns": [*training.units[unit].features, training.units[unit].label],
            "metric": metric_name(training.metric),
            "code": judging_code(project.folder, training).as_json(),
        }
        self._scores = Scores(settings.state_dir, measure)

    def measured(self, ref: ModelRef) -> Contender:
        """What a version scores now, loaded after its digest was checked. Raises `Corrupt` and `BadInput`."""
        return Contender(ref.version, self._scores.keep(ref.sha256, self._measure(ref)))

    def known(self, ref: ModelRef) -> Contender:
        """What a version scores; one that was measured on these rows before is not loaded again."""
        if not ref.sha256:
            return self.measured(ref)  # which says that nothing can be checked
        return Contender(ref.version, self._scores.of(ref.sha256, lambda: self._measure(ref)))

    def _measure(self, ref: ModelRef) -> float:
        named, registry = f"{ref.name} version {ref.version}", self._registry
        with verified_model(registry.tracking_uri, registry.source(ref), ref.sha256, named) as model:
            return score(self._metric, model, self._rows)


def promote(settings: Settings, project: Project, verb: str) -> Outcome:
    """Register, compare and promote, as far as the verb says.

    Key and commit: those of `MlflowRegistry.register` and of `release`; a crash anywhere is finished by the next call.
    """
    if (training := project.training) is None:
        raise NotConfigured("the project declares no training: add project.train(…) to its module.")
    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model)
    deliver_first(settings, registry.tracking_uri)
    judged = json.loads(project.dataset(EVALUATE).path(EVALUATION).read_text())
    unit = judged["best"]
    candidate, made = registry.register(settings.serving.model, judged["key"], unit)
    say(f"Candidate {unit} of training {judged['key'][:8]} {'is now' if made else 'was already'} {_named(candidate)}.")
    if verb == "register":
        return Outcome("registered" if made else "known", candidate)
    with closing(Ledger(settings.ledger_url)) as ledger:
        slot = _say_repairs(settings.serving.slot, settle_slot(ledger, registry, settings.serving.slot))
        champion = None if slot.version is None else registry.version(slot.version)
        served = served_before(ledger, registry, settings.serving.slot)
        bench = Bench(registry, project, training, settings, unit)
        verdict = compare(registry, bench, candidate, champion, served, training.max_drop)
        say(f"Verdict: {verdict.outcome}: {verdict.reason}")
        if verb == "compare" or verdict.outcome != "promote":
            return Outcome(verdict.outcome, candidate, champion, verdict.reason)
        name = settings.serving.slot
        _say_repairs(name, release(ledger, registry, name, slot.version, candidate.version))
    say(f"{_named(candidate)} is {name} now.")
    return Outcome("promoted", candidate, champion, verdict.reason)


def compare(
    registry: MlflowRegistry,
    bench: Bench,
    candidate: ModelRef,
    champion: ModelRef | None,
    served: Iterable[int],
    max_drop: float,
) -> PromotionVerdict:
    """The verdict on a candidate; `served` are the versions that the slot has served, the champion among them or not.

    Candidate and champion must be there and whole. Another version that is gone, damaged or not to be loaded here is
    said, and does not count.
    """
    if champion is not None and champion.version == candidate.version:
        return PromotionVerdict("keep", f"version {candidate.version} is the champion already.")
    first = bench.measured(candidate)
    best = bench.known(champion) if champion else None
    others = set(served) - {ref.version for ref in (candidate, champion) if ref}
    return judge_candidate(first, best, max_drop, list(_earlier(registry, bench, others)))


def _earlier(registry: MlflowRegistry, bench: Bench, numbers: Iterable[int]) -> Iterator[Contender]:
    refs = {ref.version: ref for ref in registry.versions()} if numbers else {}
    for number in sorted(numbers):
        try:
            if number not in refs:
                raise BadInput(f"{registry.name} version {number} is not in the registry any more")
            yield bench.known(refs[number])
        except Permanent as error:
            say(f"Version {number} was served before and does not count: {str(error).rstrip('.')}.")


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
