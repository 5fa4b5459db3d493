"""A candidate beside the champion and all that a slot has served before, on the same rows, by the same measure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from koboshi.errors import BadInput, Permanent
from koboshi.events import Sink, VersionLeftOut
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.release import Contender, PromotionVerdict, Scores, judge_candidate


class Bench:
    """What versions of one registered model score; `scores` has what is known, `measure` scores a loaded model."""

    def __init__(self, registry: MlflowRegistry, scores: Scores, measure: Callable[[Any], float]) -> None:
        """Nothing is loaded yet. Whatever `measure` raises says that the model cannot score the rows."""
        self.registry, self._scores, self._score = registry, scores, measure

    def measured(self, ref: ModelRef) -> Contender:
        """What a version scores now, loaded after its digest was checked. Raises `Corrupt` and `BadInput`."""
        return Contender(ref.version, self._scores.keep(ref.sha256, self._measure(ref)))

    def known(self, ref: ModelRef) -> Contender:
        """What a version scores; one that was measured on these rows before is not loaded again."""
        if not ref.sha256:
            return self.measured(ref)  # which says that nothing can be checked
        return Contender(ref.version, self._scores.of(ref.sha256, lambda: self._measure(ref)))

    def _measure(self, ref: ModelRef) -> float:
        named, registry = f"{ref.name} version {ref.version}", self.registry
        with verified_model(registry.tracking_uri, registry.source(ref), ref.sha256, named) as model:
            try:
                return self._score(model)
            except Exception as error:
                raise BadInput(f"{named} cannot score the rows that judge it ({error!r}).") from error


def compare(
    bench: Bench,
    candidate: ModelRef,
    champion: ModelRef | None,
    served: Iterable[int],
    max_drop: float,
    emit: Sink,
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
    return judge_candidate(first, best, max_drop, list(_earlier(bench, others, emit)))


def _earlier(bench: Bench, numbers: Iterable[int], emit: Sink) -> Iterator[Contender]:
    refs = {ref.version: ref for ref in bench.registry.versions()} if numbers else {}
    for number in sorted(numbers):
        try:
            if number not in refs:
                raise BadInput(f"{bench.registry.name} version {number} is not in the registry any more")
            yield bench.known(refs[number])
        except Permanent as error:
            emit(VersionLeftOut(version=number, reason=str(error).rstrip(".")))
