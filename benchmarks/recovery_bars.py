"""The bars of recovery, pure: from what each fault cost whom."""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.bars import Bar, all_of, at_most, times_sooner
from benchmarks.contender import OURS, PEERS, Contender
from benchmarks.strikes import Recovery

BEAT_S = 0.5
SIGKILL, TWO_KILLS, SIGSTOP, NODE, HEAD_KILLED = "SIGKILL", "two kills", "SIGSTOP", "node killed", "head killed"
GANG = dataclasses.replace(OURS, name="koboshi, two workers")
ATTAINED = dataclasses.replace(OURS, name="koboshi, attained")
OUR_NAMES = (OURS.name, GANG.name, ATTAINED.name)


def judged(recoveries: Sequence[Recovery], same: dict[str, list[bool]], peers: Sequence[str]) -> list[Bar]:
    """The bars of recovery, pure."""
    ours = _of(recoveries, OURS.name, SIGKILL)
    step = statistics.median(r.step_s for r in ours) if ours else 0.0
    taken = [r.committed_s for r in ours]
    middle = [statistics.median(taken)] if taken else []
    return [
        at_most("SIGKILL → next committed step, median", 0.5 + step, middle),
        at_most("SIGKILL → next committed step, worst", 3.0 + step, taken),
        Bar("kills of our worker", "≥ 30", str(len(taken)), len(taken) >= 30),
        *_against_peers(recoveries, taken, peers),
        *_of_the_gang(recoveries),
        at_most("two kills within 2 s", 30 + step, _committed(recoveries, OURS, TWO_KILLS)),
        at_most("SIGSTOP → replaced", 5 * BEAT_S + 0.5, [r.begun_s for r in _of(recoveries, OURS.name, SIGSTOP)]),
        at_most("node killed → next committed step", 5 + step, _committed(recoveries, OURS, NODE)),
        at_most("head killed → next committed step", 60, _committed(recoveries, ATTAINED, HEAD_KILLED)),
        at_most("steps done again by a kill", 2, [float(r.redone) for r in ours], "steps"),
        all_of("the model of the undisturbed run", [one for name in OUR_NAMES for one in same.get(name, [])]),
    ]


def _of_the_gang(recoveries: Sequence[Recovery]) -> list[Bar]:
    """Against a Ray Train that has one worker to restart, which is less than two."""
    gang, rivals = _of(recoveries, GANG.name, SIGKILL), _of(recoveries, PEERS[0].name, SIGKILL)
    round_s = statistics.median(r.step_s for r in gang) if gang else 0.0
    taken = [r.committed_s for r in gang]
    return [
        at_most("the same with two workers for one model", 1 + round_s, taken),
        times_sooner("  sooner than Ray Train v2", 20, taken, [r.committed_s for r in rivals]),
    ]


def _against_peers(recoveries: Sequence[Recovery], ours: list[float], peers: Sequence[str]) -> Iterator[Bar]:
    for peer in peers:
        factor = 40.0 if peer.startswith("Ray Train") else 1.0
        theirs = [r.committed_s for r in _of(recoveries, peer, SIGKILL)]
        yield times_sooner(f"sooner than {peer}", factor, ours, theirs)


def _committed(recoveries: Sequence[Recovery], contender: Contender, fault: str) -> list[float]:
    return [r.committed_s for r in _of(recoveries, contender.name, fault)]


def _of(recoveries: Sequence[Recovery], contender: str, fault: str) -> list[Recovery]:
    return [r for r in recoveries if (r.contender, r.fault) == (contender, fault)]


def profile(recoveries: Sequence[Recovery]) -> dict[str, float]:
    """Where the time of our recoveries from SIGKILL goes, in medians, one part after another."""
    seen = [(r, r.seen_s) for r in _of(recoveries, OURS.name, SIGKILL) if r.seen_s is not None]
    if not seen:
        return {}
    return {
        "the death is seen by the driver": statistics.median(seen_s for _, seen_s in seen),
        "a spare has the checkpoint and the rows": statistics.median(r.begun_s - seen_s for r, seen_s in seen),
        "the step, its checkpoint and its commit": statistics.median(r.committed_s - r.begun_s for r, _ in seen),
        "a step from commit to commit, undisturbed": statistics.median(r.step_s for r, _ in seen),
    }
