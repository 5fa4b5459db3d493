"""Decides, pure: which worker does which step next, and what a death or a failure means. `driver.py` acts on it."""

import dataclasses
import statistics
from collections.abc import Mapping

from koboshi.training.driver import run_state
from koboshi.training.driver.run_state import Decided, RunState, UnitState

TRIES = 4  # of one step; a unit that fails each time will go on failing
MEMORY_TRIES = 2  # the first time, others may have filled the memory
STILLBORN = 3  # workers in a row that died before they were warm
SPARES = 1  # warm workers that wait for a death: taking over costs no process start
SLOW_FACTOR = 3.0  # times what the unit's steps took before; so slow is no noise
SLOW_STEPS = 2  # in a row
REMEMBERED = 7  # steps of a unit, by which its next ones are judged
MOVE_S = 1.0  # what it costs to take a unit up elsewhere, beside its first step there


def decide_restart(state: RunState, event: run_state.Input) -> Decided:
    """What follows from an event: the new state, and what the driver has to do now, in this order."""
    state, first = _apply(state, event)
    if state.stillborn >= STILLBORN and isinstance(event, run_state.Lost):
        return state, (
            run_state.GiveUp(f"{STILLBORN} workers in a row died before they were ready, last because {event.reason}"),
        )
    state, orders = _give_out(state)
    state, grown = _grow(state)
    return state, (*first, *orders, *grown)


def tries(kind: run_state.Kind) -> int:
    """How often a step is tried that comes to nothing for such a reason; an error that must come again, just once."""
    return {"permanent": 1, "memory": MEMORY_TRIES}.get(kind, TRIES)


def _apply(state: RunState, event: run_state.Input) -> Decided:
    match event:
        case run_state.Ready(worker):
            starting = max(0, state.starting - 1)
            return dataclasses.replace(state, idle=(*state.idle, worker), starting=starting, stillborn=0), ()
        case run_state.Lost(worker) if worker in state.idle:
            at_hand = {w: unit for w, unit in state.at_hand.items() if w != worker}
            return dataclasses.replace(state, idle=tuple(w for w in state.idle if w != worker), at_hand=at_hand), ()
        case run_state.Lost():
            starting = max(0, state.starting - 1)
            return dataclasses.replace(state, starting=starting, stillborn=state.stillborn + 1), ()
        case run_state.Committed(worker) if worker in state.at:
            return _committed(state, event, state.at[worker])
        case run_state.Interrupted(worker) if worker in state.at:
            return _interrupted(state, event, state.at[worker])
        case run_state.Begun() | run_state.Committed() | run_state.Interrupted():
            return state, ()


def _committed(state: RunState, event: run_state.Committed, name: str) -> Decided:
    """A worker stays with its unit to the end: what it has in memory need not be read back.

    Only where others of a gang have to do their step first, it does something else meanwhile.
    """
    before = state.units[name]
    seconds = (*before.seconds, event.seconds)[-REMEMBERED:]
    done = before.next - event.at_risk
    # Only what is durable forgives: else a store that stays full would let the same steps be done for ever.
    failed = (0, 0) if done > before.done else (before.failures, before.memory_failures)
    unit = UnitState(before.total, done, event.at_risk, *failed, seconds=seconds)
    state = state.with_unit(name, unit)
    if state.idle and unit.done < unit.total and not unit.ahead and pays_to_move(unit):
        return _moved(state, event.worker, name)
    if unit.done == unit.total or name in state.gangs:
        state = dataclasses.replace(state.without(event.worker), idle=(*state.idle, event.worker))
        if name in state.gangs:
            state = dataclasses.replace(state, at_hand={**state.at_hand, event.worker: name})
        return placed(state, name)
    return state, (run_state.Order(event.worker, name, unit.next),)


def pays_to_move(unit: UnitState) -> bool:
    """Whether a unit's worker has become so slow that a warm spare would be done sooner.

    Expected is what the steps took before; the price is that of taking up, and one step's share of it.
    """
    usual, newest = unit.seconds[:-SLOW_STEPS], unit.seconds[-SLOW_STEPS:]
    if len(usual) <= SLOW_STEPS:
        return False
    expected_s, slow_s = statistics.median(usual), min(newest)
    gain_s = (slow_s - expected_s) * (unit.total - unit.done)
    return slow_s >= SLOW_FACTOR * expected_s and gain_s > MOVE_S + expected_s


def _moved(state: RunState, worker: str, name: str) -> Decided:
    unit = dataclasses.replace(state.units[name], recovering=True)
    state = state.without(worker).with_unit(name, unit)
    slow_s, usual_s = min(unit.seconds[-SLOW_STEPS:]), statistics.median(unit.seconds[:-SLOW_STEPS])
    reason = f"its steps take {slow_s:.1f} s instead of {usual_s:.1f} s"
    state, actions = placed(state, name)
    return state, (run_state.Retire(worker, name, reason), *actions)


def _interrupted(state: RunState, event: run_state.Interrupted, name: str) -> Decided:
    """The unit comes first among those that wait, or is quarantined; a worker without memory left is not used again."""
    before = state.units[name]
    too_early = any(state.units[member].done < before.done for member in state.gangs.get(name, ()))
    bad_state = event.done < before.done or event.fell or too_early
    kind = "" if bad_state else event.kind  # what it was to go on from was bad, not the step
    of_memory = kind == "memory"
    unit = UnitState(
        before.total, event.done, 0, before.failures + 1, before.memory_failures + of_memory, True, before.seconds
    )
    state = state.without(event.worker).with_unit(name, unit)
    state, actions = fallen(state, event.fell)
    if event.alive and of_memory:
        actions = (*actions, run_state.Retire(event.worker, name, event.reason))
    elif event.alive:
        state = dataclasses.replace(state, idle=(*state.idle, event.worker))
    poisoned: tuple[run_state.Action, ...] = ()
    if (unit.memory_failures if of_memory else unit.failures) >= tries(kind):
        evidence = run_state.Poisoned(unit.done + before.ahead + 1, event.reason, again=kind == "transient")
        state = dataclasses.replace(state, poisoned={**state.poisoned, name: evidence})
        poisoned = (run_state.Quarantine(name, evidence),)
    state, placing = placed(state, name, *event.fell)
    return state, (*actions, *poisoned, *placing)


def _give_out(state: RunState) -> Decided:
    """Idle workers take waiting units, those that they have at hand, as long as no more than `actors` are at work."""
    count = max(0, min(len(state.idle), len(state.waiting), state.actors - len(state.at)))
    if not count:
        return state, ()
    units = state.waiting[:count]
    keepers = {unit: worker for worker, unit in state.at_hand.items() if unit in units}
    others = (worker for worker in state.idle if worker not in keepers.values())
    free = iter(sorted(others, key=lambda worker: worker in state.at_hand))
    taken = {keepers.get(unit) or next(free): unit for unit in units}
    orders = tuple(run_state.Order(worker, name, state.units[name].done + 1) for worker, name in taken.items())
    return dataclasses.replace(
        state,
        idle=tuple(worker for worker in state.idle if worker not in taken),
        waiting=state.waiting[count:],
        at={**state.at, **taken},
        at_hand={worker: unit for worker, unit in state.at_hand.items() if worker not in taken},
    ), orders


def _grow(state: RunState) -> Decided:
    """Replace the dead, but never while a unit is recovering on a spare: a starting process would slow it down."""
    recovering = any(state.units[name].recovering for name in state.at.values())
    missing = state.actors + SPARES - len(state.at) - len(state.idle) - state.starting
    if state.finished or recovering or missing <= 0:
        return state, ()
    return dataclasses.replace(state, starting=state.starting + missing), (run_state.Grow(),) * missing


def placed(state: RunState, *names: str) -> Decided:
    """Put units that are in no place where they belong, and the rest of their gang with them."""
    gang = state.gangs.get(names[0])
    if gang is not None:
        return _gang_placed(state, gang, names)
    waiting = (*(name for name in names if _has_work(state, name)), *state.waiting)
    return dataclasses.replace(state, waiting=waiting), ()


def fallen(state: RunState, fell: Mapping[str, int]) -> Decided:
    """Members that have to go back; who is at a step that comes too early now is ended, for it may not be committed."""
    actions: list[run_state.Action] = []
    for name, done in fell.items():
        state = state.with_unit(name, dataclasses.replace(state.units[name], done=done, recovering=True))
        for worker in [worker for worker, at in state.at.items() if at == name]:
            state = state.without(worker)
            actions.append(
                run_state.Retire(worker, name, f"the state after step {done + 1} is bad, on which its step was built")
            )
    waiting = tuple(name for name in state.waiting if name not in fell) if fell else state.waiting
    return dataclasses.replace(state, waiting=waiting), tuple(actions)


def _gang_placed(state: RunState, gang: tuple[str, ...], names: tuple[str, ...]) -> Decided:
    at_work = set(state.at.values())
    free = [member for member in gang if member not in at_work and _has_work(state, member)]
    if lost := next((member for member in gang if member in state.poisoned), None):
        return _all_quarantined(state, lost, free)
    slowest = min(state.units[member].done for member in gang)
    may = [member for member in free if state.units[member].done == slowest]
    opened = tuple(member for member in may if member in state.held or member in names)
    held = frozenset(free).difference(may)
    back = held.difference(state.held).difference(names)
    waiting = tuple(name for name in state.waiting if name not in back) if back else state.waiting
    return dataclasses.replace(state, waiting=(*opened, *waiting), held=state.held.difference(gang) | held), ()


def _all_quarantined(state: RunState, lost: str, free: list[str]) -> Decided:
    """Without one of its members a gang cannot go on."""
    more = {
        name: run_state.Poisoned(
            state.units[name].done + 1, f"it needs {lost}, which is quarantined", state.poisoned[lost].again
        )
        for name in free
    }
    state = dataclasses.replace(
        state,
        waiting=tuple(name for name in state.waiting if name not in more),
        held=state.held.difference(more),
        poisoned={**state.poisoned, **more},
    )
    return state, tuple(run_state.Quarantine(name, poisoned) for name, poisoned in more.items())


def _has_work(state: RunState, name: str) -> bool:
    return state.units[name].done < state.units[name].total and name not in state.poisoned
