"""How soon a training goes on after a fault, beside its peers on Ray: `make benchmark-recovery`.

In each round everyone trains the same model by the same steps on the same cluster, one after another, and is struck at
seeded moments. The figures and the machine are kept in benchmarks/results/recovery.json; a missed bar is exit code 65.
"""

import dataclasses
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bars
from benchmarks.contender import OURS, PEERS, Contender, Run
from benchmarks.ensured import AttainedRun
from benchmarks.own_stack import PROJECT, own_stack
from benchmarks.recovery_bars import ATTAINED, GANG, HEAD_KILLED, NODE, SIGKILL, SIGSTOP, TWO_KILLS, judged, profile
from benchmarks.strikes import (
    Fault,
    Recovery,
    head_killer,
    kill_worker,
    kill_worker_and_spare,
    node_killer,
    stop_worker,
    strike,
)
from benchmarks.undisturbed import Kit, Undisturbed, separate, together, undisturbed
from benchmarks.workload import new_spec, steady_unit, write_rows
from koboshi.drills.kit.faults import why_not_healthy
from koboshi.errors import KoboshiError
from koboshi.exits import STOP, run_and_exit
from koboshi.formats.manifest import DatasetRef
from koboshi.settings import Settings, load_settings
from koboshi.training.data_parallel import data_parallel

# The shortest step, one epoch: a step costs everybody the same, and should not hide what the recovery costs.
EPOCHS_A_STEP = 1
STEPS_AFTER = 20
ENDS_WITHIN_S, WHOLE_WITHIN_S = 600.0, 180.0


@dataclasses.dataclass(frozen=True)
class Rounds:
    """How much is done: in each round so many kills of our worker, and of a peer's."""

    count: int
    kills: int
    peer_kills: int
    seed: int
    others: bool = True

    def turns(self, peers: Sequence[Contender]) -> list[tuple[Contender, list[str]]]:
        """Who is struck in a round, and by what."""
        struck = [(OURS, [SIGKILL] * self.kills), *((peer, [SIGKILL] * self.peer_kills) for peer in peers)]
        if self.others:
            struck[0][1].extend((TWO_KILLS, SIGSTOP, NODE))
            struck += [(GANG, [SIGKILL] * self.peer_kills), (ATTAINED, [HEAD_KILLED])]
        return struck


@dataclasses.dataclass
class Environment:
    """What all rounds share, and what has been measured so far."""

    settings: Settings
    table: DatasetRef
    controls: dict[tuple[str, int], Undisturbed] = dataclasses.field(default_factory=dict)
    recoveries: list[Recovery] = dataclasses.field(default_factory=list)
    same: dict[str, list[bool]] = dataclasses.field(default_factory=dict)

    def struck(self, contender: Contender, faults: Sequence[str], rng: random.Random) -> None:
        """One run of one contender, struck by these faults one after another, and compared with the control."""
        kit = kit_of(contender, contender.steps_a_fault * len(faults) + STEPS_AFTER)
        run = self._begun(contender, kit)
        for name in faults:
            found = strike(run, contender.name, name, self._fault(name), rng)
            say(f"  {contender.name}, {name}: {_told(found)}")
            self.recoveries += [found] if found else []
            if name in (NODE, HEAD_KILLED) and (reason := why_not_healthy(self.settings, "ray", WHOLE_WITHIN_S)):
                say(f"  the cluster is not whole again: {reason}")
        run.wait(ENDS_WITHIN_S)
        alike = kit.predictions(run.final_states(), self.table) == self._control(kit).predictions
        self.same.setdefault(contender.name, []).append(alike)
        run.close()

    def _begun(self, contender: Contender, kit: Kit) -> Run | AttainedRun:
        spec = new_spec(self.settings, self.table, kit.units, actors=len(kit.units))
        return AttainedRun(self.settings, spec) if contender == ATTAINED else Run(self.settings, contender, spec)

    def _fault(self, name: str) -> Fault:
        known: dict[str, Fault] = {SIGKILL: kill_worker, TWO_KILLS: kill_worker_and_spare, SIGSTOP: stop_worker}
        return {**known, NODE: node_killer(self.settings), HEAD_KILLED: head_killer(self.settings)}[name]

    def _control(self, kit: Kit) -> Undisturbed:
        key = kit.name, next(iter(kit.units.values())).steps
        if key not in self.controls:
            self.controls[key] = undisturbed(kit, self.table)
        return self.controls[key]


def kit_of(contender: Contender, steps: int) -> Kit:
    """One model: as one unit, or by two workers in rounds."""
    unit = steady_unit(steps, EPOCHS_A_STEP)
    if contender == GANG:
        return Kit("gang", data_parallel(unit, 2), together, unit.params["rows"])
    return Kit("model", {"model": unit}, separate, unit.params["rows"])


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def measure(environment: Environment, rounds: Rounds, peers: Sequence[Contender]) -> None:
    """All rounds; who comes first changes from round to round."""
    for number in range(1, rounds.count + 1):
        rng = random.Random(f"{rounds.seed}/{number}")
        order = rounds.turns(peers)
        rng.shuffle(order)
        for contender, faults in order:
            say(f"round {number}/{rounds.count}: {contender.name}")
            try:
                environment.struck(contender, faults, rng)
            except KoboshiError as error:
                say(f"  {contender.name} came to nothing in this round: {str(error)[:300]}")
                environment.same.setdefault(contender.name, []).append(False)


def _told(found: Recovery | None) -> str:
    if found is None:
        return "the run ended before the fault took"
    return f"next step committed after {found.committed_s:.2f} s ({found.redone} steps done again)"


def main(
    rounds: Annotated[int, typer.Option(min=1, help="In each, everybody trains once.")] = 3,
    kills: Annotated[int, typer.Option(min=1, help="Kills of our worker in a round.")] = 10,
    peer_kills: Annotated[int, typer.Option(min=1, help="Kills of each peer's worker in a round.")] = 2,
    seed: Annotated[int, typer.Option(help="Decides the moments and the order.")] = 1,
    quick: Annotated[bool, typer.Option(help="One round, one kill, one peer: to see that it runs.")] = False,
    here: Annotated[bool, typer.Option(help="On the stack of this project that runs already.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Measure, show the table, keep the figures; exit 65 for a missed bar (with --quick: a differing model)."""
    plan = Rounds(1, 1, 1, seed, others=False) if quick else Rounds(rounds, kills, peer_kills, seed)
    peers = PEERS[-1:] if quick else PEERS
    if here:
        environment = _measured(load_settings(PROJECT), plan, peers)
    else:
        with own_stack("ray") as settings:
            environment = _measured(settings, plan, peers)
    found = judged(environment.recoveries, environment.same, [peer.name for peer in peers])
    raw = [dataclasses.asdict(r) for r in environment.recoveries]
    bars.show("Recovery", found)
    where = profile(environment.recoveries)
    for part, seconds in where.items():
        say(f"{part}: {seconds:.3f} s")
    peers_set = {peer.name: {"script": peer.script, "env": dict(peer.env)} for peer in peers}
    kept = bars.save(
        "recovery", results, found, PROJECT, plan=dataclasses.asdict(plan), peers=peers_set, profile=where, raw=raw
    )
    say(f"the figures are in {kept}")
    failed = bars.missed(found[-1:] if quick else found)
    sys.exit(STOP if failed else 0)


def _measured(settings: Settings, plan: Rounds, peers: Sequence[Contender]) -> Environment:
    environment = Environment(settings, write_rows(settings.state_dir / "runs" / "table"))
    measure(environment, plan, peers)
    return environment


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main), "benchmark-recovery")
