"""Gangs: units that do each step together, and the committed states that a round of them begins with."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from koboshi.errors import BadInput
from koboshi.refs import CheckpointRef
from koboshi.training.spec import UnitSpec


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
        if step == 1:
            return ()
        return tuple(self._states[member][step - 1] for member in self._gangs.get(unit, ()))
