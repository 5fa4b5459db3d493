"""The alias of a slot moves under an intent: written down first, then made, then settled."""

import dataclasses
import uuid
from contextlib import AbstractContextManager
from typing import Protocol

from koboshi.errors import Conflict, Transient
from koboshi.ledger import Ledger
from koboshi.ledger.held_lease import HeldLease, holding
from koboshi.ledger.holders import this_process
from koboshi.ledger.intents import Intent, last_done, open_intent, opened, served, settle
from koboshi.refs import ModelRef
from koboshi.registry.promotion import moved_by_hand, next_move

LEASE_S = 30.0


class Aliases(Protocol):
    """Where a slot's alias lives."""

    name: str

    def aliased(self, alias: str) -> int | None:
        """The version that the alias points at, or None."""
        ...

    def point(self, alias: str, version: int) -> None:
        """Let the alias point at a version."""
        ...

    def version(self, number: int) -> ModelRef | None:
        """The version, or None when it is gone."""
        ...


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
        if state.version != expected:
            raise _moved(slot, expected)
        how = _drive(ledger, aliases, slot, open_intent(ledger, name, expected, wanted))
        if how != "done":
            raise _moved(slot, expected)
        return SlotState(wanted, state.repaired)


def _settle(ledger: Ledger, aliases: Aliases, slot: str) -> SlotState:
    name = _name(aliases, slot)
    repaired = []
    if intent := opened(ledger, name):
        how = _drive(ledger, aliases, slot, intent)
        repaired.append(f"interrupted release of version {intent.wanted}: {how}")
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
        move = next_move(intent, aliases.aliased(slot), wanted_exists=exists)
    if move.action == "point":
        raise Conflict(f"alias {slot} did not move to version {intent.wanted}: look at the registry.")
    settle(ledger, intent, move.action, move.detail)
    return f"{move.action} {move.detail}".strip()


def _releasing(ledger: Ledger, name: str) -> AbstractContextManager[HeldLease]:
    """One release of a slot at a time."""
    holder = f"{uuid.uuid4().hex[:8]}.{this_process()}"
    return holding(ledger, f"release {name}", holder, LEASE_S)


def _moved(slot: str, expected: int | None) -> Transient:
    return Transient(f"slot {slot} does not serve version {expected} any more: compare with what it serves now.")


def _name(aliases: Aliases, slot: str) -> str:
    return f"{aliases.name}@{slot}"
