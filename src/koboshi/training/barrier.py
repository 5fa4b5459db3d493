"""Decides, pure: which members of a gang may do their next step, and which have to wait for others.

A member may do step k once every member has committed step k-1: its step begins with all of their states. So in the
ordinary course nobody is more than a round ahead. Who had to go back, because a state was bad, does its steps again, to
the same bits; the others keep theirs and are held until it has caught up.
"""

import dataclasses
from collections.abc import Mapping

from koboshi.training.run_state import Action, Decided, Poisoned, Retire, RunState, SetAside


def placed(state: RunState, *names: str) -> Decided:
    """Put units that are in no place where they belong, and the rest of their gang with them."""
    gang = state.gangs.get(names[0])
    if gang is not None:
        return _gang_placed(state, gang, names)
    waiting = tuple(name for name in names if _has_work(state, name))
    return dataclasses.replace(state, waiting=(*waiting, *state.waiting)), ()


def fallen(state: RunState, fell: Mapping[str, int]) -> Decided:
    """Members that have to go back; who is at a step that comes too early now is ended, for it may not be committed."""
    actions: list[Action] = []
    for name, done in fell.items():
        unit = dataclasses.replace(state.units[name], done=done, recovering=True)
        state = state.with_unit(name, unit)
        for worker in [worker for worker, at in state.at.items() if at == name]:
            state = state.without(worker)
            actions.append(Retire(worker, name, f"the state after step {done + 1} is bad, on which its step was built"))
    waiting = tuple(name for name in state.waiting if name not in fell) if fell else state.waiting
    return dataclasses.replace(state, waiting=waiting), tuple(actions)


def _gang_placed(state: RunState, gang: tuple[str, ...], names: tuple[str, ...]) -> Decided:
    at_work = set(state.at.values())
    free = [member for member in gang if member not in at_work and _has_work(state, member)]
    if lost := next((member for member in gang if member in state.poisoned), None):
        return _all_set_aside(state, lost, free)
    slowest = min(state.units[member].done for member in gang)
    may = [member for member in free if state.units[member].done == slowest]
    opened = tuple(member for member in may if member in state.held or member in names)
    held = frozenset(free).difference(may)
    back = held.difference(state.held).difference(names)
    waiting = tuple(name for name in state.waiting if name not in back) if back else state.waiting
    return dataclasses.replace(state, waiting=(*opened, *waiting), held=state.held.difference(gang) | held), ()


def _all_set_aside(state: RunState, lost: str, free: list[str]) -> Decided:
    """Without one of its members a gang cannot go on."""
    again = state.poisoned[lost].again
    more = {name: Poisoned(state.units[name].done + 1, f"it needs {lost}, which is set aside", again) for name in free}
    state = dataclasses.replace(
        state,
        waiting=tuple(name for name in state.waiting if name not in more),
        held=state.held.difference(more),
        poisoned={**state.poisoned, **more},
    )
    return state, tuple(SetAside(name, poisoned) for name, poisoned in more.items())


def _has_work(state: RunState, name: str) -> bool:
    return state.units[name].done < state.units[name].total and name not in state.poisoned
