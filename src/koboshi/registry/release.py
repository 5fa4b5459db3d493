"""Which version a slot serves: judged by its score, and moved under an intent: written down, made, then settled.

`judge_candidate`, `next_move` and `moved_by_hand` decide, on small values; the rest acts.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from koboshi.errors import Conflict, Transient
from koboshi.events import AliasMoved
from koboshi.files import publish_bytes
from koboshi.ledger import Ledger
from koboshi.ledger.intents import Intent, last_done, open_intent, opened, served, settle
from koboshi.ledger.leases import HeldLease, holding, new_holder
from koboshi.refs import ModelRef
from koboshi.sinks import open_sinks

PromotionOutcome = Literal["promote", "keep", "refuse"]


@dataclasses.dataclass(frozen=True, slots=True)
class PromotionVerdict:
    """`promote` the candidate, `keep` it (it is the champion already) or `refuse` it; `reason` is one sentence."""

    outcome: PromotionOutcome
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """A version and what it scored (higher is better) on the rows that all are judged on."""

    version: int
    score: float


def judge_candidate(
    candidate: Contender, champion: Contender | None, max_drop: float, earlier: Sequence[Contender] = ()
) -> PromotionVerdict:
    """A candidate becomes champion if its score is at most `max_drop` below that of the best the slot has served.

    That is the champion, or one of the `earlier` versions: measured by the champion alone, each could be a little
    worse than the one before, without an end. A version without a score (NaN) is no measure.
    """
    if candidate.score != candidate.score:
        return PromotionVerdict("refuse", f"version {candidate.version} has no score on these rows.")
    if champion is not None and candidate.version == champion.version:
        return PromotionVerdict("keep", f"version {candidate.version} is the champion already.")
    best = _best(candidate, [*([champion] if champion else []), *earlier])
    scores = _scores(candidate, champion, best)
    if best is not None and candidate.score < best.score - max_drop:
        return PromotionVerdict("refuse", f"{scores}: worse by more than the {max_drop:g} that is allowed.")
    return PromotionVerdict(
        "promote", f"{scores}: not worse than the {max_drop:g} that is allowed." if best else f"{scores}."
    )


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


FORMAT = 1


class Scores:
    """The scores of models by one measure: the rows, the metric and the code that computes it."""

    def __init__(self, state_dir: Path, measure: Mapping[str, Any]) -> None:
        """`measure` is everything that a score depends on beside the model, as JSON values."""
        name = hashlib.sha256(json.dumps(dict(measure), sort_keys=True).encode()).hexdigest()[:32]
        self._file = state_dir / "cache" / "scores" / f"{name}.json"

    def of(self, sha256: str, measured: Callable[[], float]) -> float:
        """The score of the model with this digest, measured if it is not known; what `measured` raises passes.

        Key: the model's digest. Commit: the file's rename. Of two who write at once one loses its entry, and measures
        that model again.
        """
        known = self._known()
        return known[sha256] if sha256 in known else self.keep(sha256, measured())

    def keep(self, sha256: str, score: float) -> float:
        """Write a score down, and return it."""
        publish_bytes(self._file, json.dumps({"format": FORMAT, "scores": {**self._known(), sha256: score}}).encode())
        return score

    def _known(self) -> dict[str, float]:
        """What was measured; a file that cannot be read, or is of another format, is as good as none."""
        try:
            content = json.loads(self._file.read_text())
            known = content["scores"] if content["format"] == FORMAT else {}
            return {str(sha256): float(score) for sha256, score in known.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}


LEASE_S = 30.0


class Aliases(Protocol):
    """Where a slot's alias lives."""

    name: str

    def aliased(self, alias: str) -> int | None:
        """The version that the alias points at, or None."""

    def point(self, alias: str, version: int) -> None:
        """Let the alias point at a version."""

    def version(self, number: int) -> ModelRef | None:
        """The version, or None when it is gone."""


@dataclasses.dataclass(frozen=True, slots=True)
class SlotState:
    """The version that a slot serves, and in phrases what was put right on the way to knowing it."""

    version: int | None
    repaired: tuple[str, ...] = ()


def settle_slot(ledger: Ledger, aliases: Aliases, slot: str) -> SlotState:
    """Finish or take back an intent that a crash left open, and adopt a move that was made by hand.

    Commit: the intent's row. A move by hand becomes a settled intent of its own, so that the ledger's story has no gap.
    """
    with _releasing(ledger, _name(aliases, slot)):
        return _settle(ledger, aliases, slot)


def served_before(ledger: Ledger, aliases: Aliases, slot: str) -> list[int]:
    """The versions that the slot has served, as far as the ledger knows, the newest first; some may be gone."""
    return served(ledger, _name(aliases, slot))


def release(ledger: Ledger, aliases: Aliases, slot: str, expected: int | None, wanted: int) -> SlotState:
    """Move the slot's alias from version `expected` to `wanted`.

    Key: slot, expected, wanted; the commit is the alias itself, between the intent's row and its settling. Under a
    crash anywhere between, the next `settle_slot` or `release` finishes it or takes it back. Raises `Transient` when
    the alias is not where it was expected, `LeaseTaken` when another release of the slot is under way.

    The registry has no compare-and-set, so a process that sleeps past its lease between looking and moving can still
    move the alias; the next `settle_slot` finds and records that as a move by hand.
    """
    name = _name(aliases, slot)
    with _releasing(ledger, name):
        state = _settle(ledger, aliases, slot)
        if state.version == wanted:
            return state
        if state.version == expected:
            intent = open_intent(ledger, name, expected, wanted)
            if _drive(ledger, aliases, slot, intent) == "done":
                return SlotState(wanted, state.repaired)
        raise Transient(f"slot {slot} does not serve version {expected} any more: compare with what it serves now.")


def _settle(ledger: Ledger, aliases: Aliases, slot: str) -> SlotState:
    name = _name(aliases, slot)
    repaired = []
    if intent := opened(ledger, name):
        repaired.append(f"interrupted release of version {intent.wanted}: {_drive(ledger, aliases, slot, intent)}")
    alias, last = aliases.aliased(slot), last_done(ledger, name)
    if by_hand := moved_by_hand(last, alias):
        repaired.append(by_hand)
        if alias is not None:
            settle(ledger, open_intent(ledger, name, last.wanted if last else None, alias), "done", by_hand)
    return SlotState(alias, tuple(repaired))


def _drive(ledger: Ledger, aliases: Aliases, slot: str, intent: Intent) -> str:
    """Take the steps that `next_move` names until the intent is settled."""
    exists = aliases.version(intent.wanted) is not None
    move = next_move(intent, aliases.aliased(slot), wanted_exists=exists)
    if move.action == "point":
        aliases.point(slot, intent.wanted)
        open_sinks()(AliasMoved(model=aliases.name, slot=slot, before=intent.expected, version=intent.wanted))
        move = next_move(intent, aliases.aliased(slot), wanted_exists=exists)
    if move.action == "point":
        raise Conflict(f"alias {slot} did not move to version {intent.wanted}: look at the registry.")
    settle(ledger, intent, move.action, move.detail)
    return f"{move.action} {move.detail}".strip()


def _releasing(ledger: Ledger, name: str) -> AbstractContextManager[HeldLease]:
    """One release of a slot at a time."""
    return holding(ledger, f"release {name}", new_holder(), LEASE_S)


def _name(aliases: Aliases, slot: str) -> str:
    return f"{aliases.name}@{slot}"
