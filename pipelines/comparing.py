"""A candidate beside the champion and all that the slot has served before, on the same rows, by the same metric."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import typer
from pydantic import Field

from koboshi.datasets.build import open_verified
from koboshi.datasets.params import Params, load_params
from koboshi.errors import BadInput, Permanent
from koboshi.files import sha256_of
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.release import Contender, PromotionVerdict, Scores, judge_candidate
from pipelines import candidates, judging, splits
from pipelines.candidates import features_of, probability
from pipelines.columns import TABLE
from pipelines.evaluate import EvaluateParams
from pipelines.judging import judge
from pipelines.splits import Split, test_rows

CODE = (candidates, judging, splits)


class PromoteParams(Params):
    """The block `promote` of params.yaml."""

    max_drop: float = Field(ge=0)


class Bench:
    """The test rows of data/features, and the metric that the candidate was chosen by."""

    def __init__(self, registry: MlflowRegistry, project: Path, state_dir: Path) -> None:
        """Read the rows; a score that was measured on them before is found again in the state folder."""
        features, self._split = open_verified(project / "data" / "features"), load_params(project, "split", Split)
        self._registry = registry
        self._params = load_params(project, "evaluate", EvaluateParams)
        self._rows = test_rows(pl.read_parquet(features.path(TABLE)), self._split)
        measure = {
            "rows": features.ref(project).manifest_sha256,
            "split": self._split.model_dump(mode="json"),
            "metric": self._params.model_dump(mode="json"),
            "code": [sha256_of(Path(str(module.__file__))) for module in CODE],
        }
        self._scores = Scores(state_dir, measure)

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
            try:
                scores = probability(model, features_of(self._rows))
            except Exception as error:
                raise BadInput(f"{named} cannot score the rows of data/features ({error!r}).") from error
        numbers = self._params.model_dump(exclude={"select_by"})
        return float(judge(self._rows, scores, **numbers).metrics[self._params.select_by])


def compare(
    registry: MlflowRegistry,
    candidate: ModelRef,
    champion: ModelRef | None,
    served: Iterable[int],
    project: Path,
    state_dir: Path,
) -> PromotionVerdict:
    """The verdict on a candidate; `served` are the versions that the slot has served, the champion among them or not.

    Candidate and champion must be there and whole. Another version that is gone, damaged or not to be loaded here is
    said, and does not count.
    """
    if champion is not None and champion.version == candidate.version:
        return PromotionVerdict("keep", f"version {candidate.version} is the champion already.")
    bench, max_drop = Bench(registry, project, state_dir), load_params(project, "promote", PromoteParams).max_drop
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
            typer.echo(f"Version {number} was served before and does not count: {str(error).rstrip('.')}.")
