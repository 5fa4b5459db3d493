"""From where each unit of a run can go on: its newest committed step that verifies, and, in a gang, those of all."""

import time
from collections.abc import Callable, Mapping

from koboshi.errors import Corrupt
from koboshi.journal import Journal
from koboshi.ledger import Ledger, steps
from koboshi.ledger.held_lease import HeldLease
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.training.checkpoints import verify_state
from koboshi.training.gangs import CommittedStates, agreed, gangs_of
from koboshi.training.spec import TrainingSpec

Say = Callable[[str], None]


class Resumption:
    """Kept in memory, and asked of ledger and store again when something went wrong.

    To find a state bad is to set its step aside in the ledger, under the run's lease (I3, I5).
    """

    def __init__(self, spec: TrainingSpec, ledger: Ledger, held: HeldLease, journal: Journal, say: Say) -> None:
        self._spec, self._ledger, self._held, self._journal, self._say = spec, ledger, held, journal, say
        self.gangs = gangs_of(spec.units)
        self._states = CommittedStates(self.gangs)
        self._good: dict[str, CommittedStep | None] = {}
        for unit in spec.units:
            if unit not in self._good:
                self.look_again(unit)

    def done(self, unit: str) -> int:
        """How many steps of a unit are committed and verify."""
        good = self._good[unit]
        return good.checkpoint.step if good else 0

    def checkpoint(self, unit: str) -> CheckpointRef | None:
        """The state that a unit goes on from, unless it stands before its first step."""
        good = self._good[unit]
        return good.checkpoint if good else None

    def peers(self, unit: str, step: int) -> tuple[CheckpointRef, ...]:
        """The states of all members of a unit's gang that this step of it begins with."""
        return self._states.before(unit, step)

    def goes_on_from(self, checkpoint: CheckpointRef, metrics: Mapping[str, float]) -> None:
        """A step of a unit is durable; it is being committed."""
        self._good[checkpoint.unit] = CommittedStep(checkpoint, metrics, time.time())
        self._states.committed(checkpoint)

    def look_again(self, unit: str) -> dict[str, int]:
        """Verify where a unit can go on from, and all members of its gang with it; returns the steps that they have."""
        if (gang := self.gangs.get(unit)) is None:
            return {unit: self._newest(unit)}
        done = agreed(gang, self._newest, self._is_good, self._go_back)
        for member in gang:
            self._states.replaced(member, [step.checkpoint for step in self._rows(member)])
        return done

    def _newest(self, unit: str) -> int:
        """The newest committed step whose state has the recorded bytes (I5); each bad one on the way is set aside."""
        self._good[unit] = None
        for step in reversed(self._rows(unit)):
            try:
                verify_state(self._spec.place.store_url, step.checkpoint)
            except Corrupt as error:
                self._set_aside(step.checkpoint, str(error))
            else:
                self._good[unit] = step
                break
        return self.done(unit)

    def _is_good(self, member: str, step: int) -> bool:
        (row,) = [row for row in self._rows(member) if row.checkpoint.step == step]
        try:
            verify_state(self._spec.place.store_url, row.checkpoint)
        except Corrupt:
            return False
        return True

    def _go_back(self, member: str, step: int) -> int:
        """Take back a step that others need and that is bad, and those that were built on it."""
        for row in reversed(self._rows(member)):
            if row.checkpoint.step >= step:
                self._set_aside(row.checkpoint, f"the state after step {step} is bad, from which its gang goes on")
        return self._newest(member)

    def _set_aside(self, checkpoint: CheckpointRef, reason: str) -> None:
        """A commit under the lease. The file stays where it is, for people to look at, until its step is done again."""
        steps.set_aside(self._ledger, self._held.lease, checkpoint, reason)
        facts = {"unit": checkpoint.unit, "step": checkpoint.step, "reason": reason}
        self._journal.record("checkpoint set aside", run=self._spec.key, **facts)
        self._say(f"{checkpoint.unit}: step {checkpoint.step} is set aside, the step before it is used: {reason}")

    def _rows(self, unit: str) -> list[CommittedStep]:
        return steps.committed(self._ledger, self._spec.key, unit)
