"""From where each unit of a run can go on: its newest committed step that verifies, and, in a gang, those of all."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from koboshi.errors import BadInput, Corrupt
from koboshi.events import CheckpointQuarantined, Sink
from koboshi.ledger import Ledger, steps
from koboshi.ledger.leases import HeldLease
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.training.checkpoints import verify_state
from koboshi.training.driver.pool import StepReturned
from koboshi.training.driver.run_state import RunState
from koboshi.training.spec import TrainingSpec, UnitSpec


class Resumption:
    """Kept in memory, and asked of ledger and store again when something went wrong.

    To find a state bad is to quarantine its step in the ledger, under the run's lease (I3, I5).
    """

    def __init__(self, spec: TrainingSpec, ledger: Ledger, held: HeldLease, emit: Sink) -> None:
        self._spec, self._ledger, self._held, self._emit = spec, ledger, held, emit
        self.gangs = gangs_of(spec.units)
        self._states = CommittedStates(self.gangs)
        self._good: dict[str, CheckpointRef | None] = {}
        for unit in spec.units:
            if unit not in self._good:
                self.look_again(unit)

    def done(self, unit: str) -> int:
        """How many steps of a unit are committed and verify."""
        good = self._good[unit]
        return good.step if good else 0

    def checkpoint(self, unit: str) -> CheckpointRef | None:
        """The state that a unit goes on from, unless it stands before its first step."""
        return self._good[unit]

    def peers(self, unit: str, step: int) -> tuple[CheckpointRef, ...]:
        """The states of all members of a unit's gang that this step of it begins with."""
        return self._states.before(unit, step)

    def goes_on_from(self, checkpoint: CheckpointRef) -> None:
        """A step of a unit is durable; it is being committed."""
        self._good[checkpoint.unit] = checkpoint
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
        """The newest committed step whose state has the recorded bytes (I5); each bad one on the way is quarantined."""
        self._good[unit] = None
        for step in reversed(self._rows(unit)):
            try:
                verify_state(self._spec.place.store_url, step.checkpoint)
            except Corrupt as error:
                self._quarantine(step.checkpoint, str(error))
            else:
                self._good[unit] = step.checkpoint
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
                self._quarantine(row.checkpoint, f"the state after step {step} is bad, from which its gang goes on")
        return self._newest(member)

    def _quarantine(self, checkpoint: CheckpointRef, reason: str) -> None:
        """A commit under the lease. The file stays where it is, for people to look at, until its step is done again."""
        steps.quarantine(self._ledger, self._held.lease, checkpoint, reason)
        run, unit, step = self._spec.key, checkpoint.unit, checkpoint.step
        self._emit(CheckpointQuarantined(run=run, unit=unit, step=step, reason=reason))

    def _rows(self, unit: str) -> list[CommittedStep]:
        return steps.committed(self._ledger, self._spec.key, unit)


def gangs_of(units: Mapping[str, UnitSpec]) -> dict[str, tuple[str, ...]]:
    """For each member of a gang all of its members, in the order of their names.

    Raises `BadInput` for members with different numbers of steps: some would wait for a step that nobody does.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for name in sorted(name for name, unit in units.items() if unit.gang):
        named[units[name].gang].append(name)
    for gang, members in named.items():
        if len(steps := {units[member].steps for member in members}) > 1:
            raise BadInput(f"the members of gang {gang} have {sorted(steps)} steps: give all of them the same number.")
    return {member: tuple(members) for members in named.values() for member in members}


def agreed(
    gang: Iterable[str],
    newest: Callable[[str], int],
    is_good: Callable[[str, int], bool],
    go_back: Callable[[str, int], int],
) -> dict[str, int]:
    """The step that each member can go on from: all states that the next round of the slowest begins with are good.

    `newest` has a member's newest good step, 0 for none; `is_good` whether a committed step before that is good, too;
    `go_back(member, step)` takes back that step and all after it, and returns the newest good one before. Who is ahead
    with good states keeps them: others that do their steps again come to the same bits.
    """
    done = {member: newest(member) for member in gang}
    while slowest := min(done.values()):
        bad = [member for member, step in done.items() if step > slowest and not is_good(member, slowest)]
        if not bad:
            break
        for member in bad:
            done[member] = go_back(member, slowest)
    return done


class CommittedStates:
    """The checkpoints of all members of gangs, by step, as far as they are committed."""

    def __init__(self, gangs: Mapping[str, tuple[str, ...]]) -> None:
        self._gangs = gangs
        self._states: dict[str, dict[int, CheckpointRef]] = {member: {} for member in gangs}

    def committed(self, checkpoint: CheckpointRef) -> None:
        """A step counts from now on."""
        if checkpoint.unit in self._gangs:
            self._states[checkpoint.unit][checkpoint.step] = checkpoint

    def replaced(self, member: str, checkpoints: Iterable[CheckpointRef]) -> None:
        """These are the steps of a member that count."""
        self._states[member] = {checkpoint.step: checkpoint for checkpoint in checkpoints}

    def before(self, unit: str, step: int) -> tuple[CheckpointRef, ...]:
        """What all members of the unit's gang had committed before the step; nothing before the first one."""
        return () if step == 1 else tuple(self._states[member][step - 1] for member in self._gangs.get(unit, ()))


Row = tuple[CheckpointRef, Mapping[str, float]]


class Uncommitted:
    """By unit, the metrics of its steps since the newest committed one."""

    def __init__(self, run_key: str) -> None:
        self._run_key = run_key
        self._metrics: dict[str, dict[int, Mapping[str, float]]] = defaultdict(dict)

    def done(self, state: RunState, event: StepReturned) -> list[Row]:
        """Take a step in; returns the rows that can be committed now: up to the newest state that is durable."""
        unit, durable = state.at[event.worker], event.result.checkpoint
        waiting = self._metrics[unit]
        waiting[state.units[unit].next] = event.result.metrics
        if durable is None:
            return []
        return [
            (durable if step == durable.step else CheckpointRef(self._run_key, unit, step), waiting.pop(step))
            for step in sorted(step for step in waiting if step <= durable.step)
        ]

    def forget(self, unit: str) -> None:
        """Its worker is gone, and what it had in memory with it."""
        self._metrics.pop(unit, None)
