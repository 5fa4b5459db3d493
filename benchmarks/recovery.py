"""How soon a training goes on after a fault, beside its peers on Ray: `make benchmark-recovery`.

In each round everyone trains the same model by the same steps on the same cluster, one after another, and is struck at
seeded moments. The figures and the machine are kept in benchmarks/results/recovery.json; a missed bar is exit code 1.
"""

import dataclasses
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bars
from benchmarks.bars import Bar, all_of, at_most, times_sooner
from benchmarks.contender import OURS, PEERS, Contender, Run
from benchmarks.own_stack import PROJECT, own_stack
from benchmarks.strikes import Fault, Recovery, kill_worker, kill_worker_and_spare, node_killer, stop_worker, strike
from benchmarks.workload import Control, new_spec, predicted, steady_unit, straight, write_rows
from koboshi.drills.faults.parts import why_not_healthy
from koboshi.errors import KoboshiError
from koboshi.refs import DatasetRef
from koboshi.settings import Settings, load_settings

BEATS_S = 0.5
STEPS_A_FAULT, STEPS_OF_PEER = 70, 25
SIGKILL, TWO_KILLS, SIGSTOP, NODE = "SIGKILL", "two kills", "SIGSTOP", "node killed"
ENDS_WITHIN_S = 600.0


@dataclasses.dataclass(frozen=True)
class Rounds:
    """How much is done: in each round so many kills of our worker, and these other faults; one kill of each peer's."""

    count: int
    kills: int
    others: tuple[str, ...]
    seed: int


@dataclasses.dataclass
class Scene:
    """What all rounds share, and what has been measured so far."""

    settings: Settings
    table: DatasetRef
    controls: dict[int, Control] = dataclasses.field(default_factory=dict)
    recoveries: list[Recovery] = dataclasses.field(default_factory=list)
    same: dict[str, list[bool]] = dataclasses.field(default_factory=dict)

    def faults(self) -> dict[str, Fault]:
        """By name."""
        node = node_killer(self.settings)
        return {SIGKILL: kill_worker, TWO_KILLS: kill_worker_and_spare, SIGSTOP: stop_worker, NODE: node}

    def struck(self, contender: Contender, faults: Sequence[str], rng: random.Random) -> None:
        """One run of one contender, struck by these faults one after another, and compared with the control."""
        steps = STEPS_A_FAULT * len(faults) if contender == OURS else STEPS_OF_PEER
        unit = steady_unit(steps)
        run = Run(self.settings, contender, new_spec(self.settings, self.table, {"model": unit}, actors=1))
        for name in faults:
            found = strike(run, name, self.faults()[name], rng)
            say(f"  {contender.name}, {name}: {_told(found)}")
            self.recoveries += [found] if found else []
            if name == NODE and (reason := why_not_healthy(self.settings, "ray", 180)):
                say(f"  the cluster is not whole again: {reason}")
        run.wait(ENDS_WITHIN_S)
        if steps not in self.controls:
            self.controls[steps] = straight(unit, self.table)
        alike = predicted(run.final_states()["model"], self.table, unit) == self.controls[steps].predictions
        self.same.setdefault(contender.name, []).append(alike)
        run.close()


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def measure(scene: Scene, rounds: Rounds, peers: Sequence[Contender]) -> None:
    """All rounds; who comes first changes from round to round."""
    for number in range(1, rounds.count + 1):
        rng = random.Random(f"{rounds.seed}/{number}")
        ours = [SIGKILL] * rounds.kills + list(rounds.others)
        order = [(OURS, ours), *((peer, [SIGKILL]) for peer in peers)]
        rng.shuffle(order)
        for contender, faults in order:
            say(f"round {number}/{rounds.count}: {contender.name}")
            try:
                scene.struck(contender, faults, rng)
            except KoboshiError as error:
                say(f"  {contender.name} is left out of this round: {str(error)[:300]}")


def judged(recoveries: Sequence[Recovery], same: dict[str, list[bool]], peers: Sequence[str]) -> list[Bar]:
    """The bars of recovery, pure."""
    ours = _of(recoveries, OURS.name, SIGKILL)
    step = statistics.median(r.step_s for r in ours) if ours else 0.0
    taken = [r.committed_s for r in ours]
    middle = [statistics.median(taken)] if taken else []
    listed = [
        at_most(f"SIGKILL → next committed step, median of {len(taken)}", 0.5 + step, middle),
        at_most("SIGKILL → next committed step, worst", 3.0 + step, taken),
        Bar("kills of our worker", "≥ 30", str(len(taken)), len(taken) >= 30),
        *_against_peers(recoveries, taken, peers),
        at_most("two kills within 2 s", 30 + step, _committed(recoveries, TWO_KILLS)),
        at_most("SIGSTOP → replaced", 5 * BEATS_S + 0.5, [r.begun_s for r in _of(recoveries, OURS.name, SIGSTOP)]),
        at_most("node killed → next committed step", 5 + step, _committed(recoveries, NODE)),
        at_most("steps done again by a kill", 2, [float(r.redone) for r in ours], "steps"),
    ]
    return [*listed, all_of("the model of the undisturbed run", same.get(OURS.name, []))]


def _against_peers(recoveries: Sequence[Recovery], ours: list[float], peers: Sequence[str]) -> Iterator[Bar]:
    for peer in peers:
        factor = 40.0 if peer.startswith("Ray Train") else 1.0
        theirs = [r.committed_s for r in _of(recoveries, peer, SIGKILL)]
        yield times_sooner(f"sooner than {peer}", factor, ours, theirs)


def _committed(recoveries: Sequence[Recovery], fault: str) -> list[float]:
    return [r.committed_s for r in _of(recoveries, OURS.name, fault)]


def _of(recoveries: Sequence[Recovery], contender: str, fault: str) -> list[Recovery]:
    return [r for r in recoveries if (r.contender, r.fault) == (contender, fault)]


def _told(found: Recovery | None) -> str:
    if found is None:
        return "the run ended before the fault took"
    return f"next step committed after {found.committed_s:.2f} s ({found.redone} steps done again)"


def main(
    rounds: Annotated[int, typer.Option(help="Rounds; each has one kill of every peer's worker.")] = 6,
    kills: Annotated[int, typer.Option(help="Kills of our worker in a round.")] = 5,
    seed: Annotated[int, typer.Option(help="Decides the moments and the order.")] = 1,
    quick: Annotated[bool, typer.Option(help="One round, one kill, one peer: to see that it runs.")] = False,
    here: Annotated[bool, typer.Option(help="On the stack of this project that runs already.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Measure, show the table, keep the figures; exit 1 when a bar is missed (with --quick: when the model differs)."""
    others = () if quick else (TWO_KILLS, SIGSTOP, NODE)
    plan = Rounds(1 if quick else rounds, 1 if quick else kills, others, seed)
    peers = PEERS[-1:] if quick else PEERS
    if here:
        scene = _measured(load_settings(PROJECT), plan, peers)
    else:
        with own_stack("ray") as settings:
            scene = _measured(settings, plan, peers)
    found = judged(scene.recoveries, scene.same, [peer.name for peer in peers])
    raw = [dataclasses.asdict(r) for r in scene.recoveries]
    bars.show("Recovery", found)
    peers_set = {peer.name: {"script": peer.script, "env": dict(peer.env)} for peer in peers}
    kept = bars.save("recovery", results, found, PROJECT, plan=dataclasses.asdict(plan), peers=peers_set, raw=raw)
    say(f"the figures are in {kept}")
    failed = bars.missed(found[-1:] if quick else found)
    sys.exit(1 if failed else 0)


def _measured(settings: Settings, plan: Rounds, peers: Sequence[Contender]) -> Scene:
    scene = Scene(settings, write_rows(settings.state_dir / "runs" / "table"))
    measure(scene, plan, peers)
    return scene


if __name__ == "__main__":
    typer.run(main)
