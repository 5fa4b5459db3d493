"""What to do with a candidate, and with an alias that is on its way: decisions only, taken on small values."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from koboshi.ledger.intents import Intent

Outcome = Literal["promote", "keep", "refuse"]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`promote` the candidate, `keep` it (it is the champion already) or `refuse` it; `reason` is one sentence."""

    outcome: Outcome
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """A version and what it scored (higher is better) on the rows that all are judged on."""

    version: int
    score: float


def judge(
    candidate: Contender, champion: Contender | None, max_drop: float, earlier: Sequence[Contender] = ()
) -> Verdict:
    """A candidate becomes champion if its score is at most `max_drop` below that of the best the slot has served.

    That is the champion, or one of the `earlier` versions: measured by the champion alone, each could be a little
    worse than the one before, without an end. A version without a score (NaN) is no measure.
    """
    if candidate.score != candidate.score:
        return Verdict("refuse", f"version {candidate.version} has no score on these rows.")
    if champion is not None and candidate.version == champion.version:
        return Verdict("keep", f"version {candidate.version} is the champion already.")
    best = _best(candidate, [*([champion] if champion else []), *earlier])
    scores = _scores(candidate, champion, best)
    if best is not None and candidate.score < best.score - max_drop:
        return Verdict("refuse", f"{scores}: worse by more than the {max_drop:g} that is allowed.")
    return Verdict("promote", f"{scores}: not worse than the {max_drop:g} that is allowed." if best else f"{scores}.")


def _best(candidate: Contender, served: Sequence[Contender]) -> Contender | None:
    """The best of the versions that were served; of a tie the first, which is the champion's place."""
    others = [one for one in served if one.version != candidate.version and one.score == one.score]
    return max(others, key=lambda one: one.score, default=None)


def _scores(candidate: Contender, champion: Contender | None, best: Contender | None) -> str:
    told = [f"version {candidate.version} scores {candidate.score:.4f}"]
    told.append(f"champion {champion.version} {champion.score:.4f}" if champion else "and there is no champion")
    if best is not None and best != champion:
        told.append(f"version {best.version}, the best that was served, {best.score:.4f}")
    return ", ".join(told)


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """What brings an open intent to its end: `point` the alias, or settle it as it is (`done`, `taken back`)."""

    action: Literal["point", "done", "taken back"]
    detail: str = ""


def next_move(intent: Intent, alias: int | None, *, wanted_exists: bool) -> Move:
    """Whoever finds an open intent takes this step, then looks again; from every state it ends (I8)."""
    if alias == intent.wanted:
        return Move("done")
    if alias != intent.expected:
        return Move("taken back", f"moved by hand to {_named(alias)} meanwhile")
    if not wanted_exists:
        return Move("taken back", f"version {intent.wanted} is gone")
    return Move("point")


def moved_by_hand(last: Intent | None, alias: int | None) -> str | None:
    """What somebody did to the alias since our last move, as a phrase; None when it is where we left it."""
    ours = last.wanted if last else None
    return None if alias == ours else f"moved by hand from {_named(ours)} to {_named(alias)}"


def _named(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"
