"""What the machinery costs while nothing goes wrong: `make benchmark-training`.

The same units' steps, in the same rounds: in a bare loop in Ray tasks, by koboshi, and by koboshi without checkpoints;
then many small units at once. Figures and machine go to benchmarks/results/training.json; a missed bar is exit code 65.
"""

import dataclasses
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bars
from benchmarks.bars import Bar, all_of, at_most, usually_at_most
from benchmarks.contender import OURS, Contender, Run
from benchmarks.own_stack import PROJECT, own_stack
from benchmarks.peers.peer_steps import LoopBegan, LoopEnded
from benchmarks.undisturbed import Kit, separate, undisturbed
from benchmarks.workload import new_spec, steady_unit, tallied, tiny_unit, write_rows
from koboshi.events import JobBegan
from koboshi.exits import STOP, run_and_exit
from koboshi.formats.manifest import DatasetRef
from koboshi.settings import Settings, load_settings
from koboshi.training import UnitSpec

BARE = Contender("bare loop", "benchmarks/peers/bare_loop.py")
FORGETFUL = Contender("without checkpoints", "benchmarks/peers/no_checkpoints.py", ours=True)
SIDE_BY_SIDE = 2
TINY_STEPS, CROWD = 10, (10, 100, 1000)
ENDS_WITHIN_S = 900.0


@dataclasses.dataclass(frozen=True, slots=True)
class Took:
    """One run: from the first step's begin to the end of the last, and from the submit on."""

    round: int
    contender: str
    units: int
    steps: int
    work_s: float
    whole_s: float
    driver_mb: float = 0.0
    same: bool = True

    @property
    def per_step_s(self) -> float:
        """A unit's step, with as many at once as there are workers."""
        return self.work_s / self.steps


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


@dataclasses.dataclass(frozen=True)
class Task:
    """What each run of some contenders has to do, and how one sees that it was done right."""

    settings: Settings
    table: DatasetRef
    units: Mapping[str, UnitSpec]
    as_undisturbed: Callable[[Run], bool]


def timed(task: Task, number: int, contender: Contender) -> Took:
    """Run it to its end, in a round."""
    run = Run(task.settings, contender, new_spec(task.settings, task.table, task.units, actors=SIDE_BY_SIDE))
    peak_mb = _watched_memory(run)
    run.wait(ENDS_WITHIN_S)
    if contender.ours:
        began, ended = min(b.at_s for b in run.begun()), max(c.at_s for c in run.committed())
    else:
        began, ended = min(at for _, at in run.told(LoopBegan)), max(at for _, at in run.told(LoopEnded))
    same = contender != OURS or task.as_undisturbed(run)
    run.close()
    units, steps = len(task.units), sum(unit.steps for unit in task.units.values())
    took = Took(number, contender.name, units, steps, ended - began, ended - run.submitted_s, peak_mb, same)
    say(f"  {took.contender}, {took.units} units: {took.steps} steps in {took.work_s:.2f} s, driver {peak_mb:.0f} MB")
    return took


def _side_by_side(settings: Settings, table: DatasetRef, steps: int) -> Task:
    """Units that are alike: what one of them predicts when nothing disturbs it is found out once, for all runs."""
    units = {f"model-{i}": steady_unit(steps) for i in range(SIDE_BY_SIDE)}
    name, unit = next(iter(units.items()))
    kit = Kit(name, {name: unit}, separate, unit.params["rows"])
    expected = undisturbed(kit, table).predictions

    def as_undisturbed(run: Run) -> bool:
        states = run.final_states()
        return all(kit.predictions({name: states[one]}, table) == expected for one in units)

    return Task(settings, table, units, as_undisturbed)


def _all_tallied(run: Run) -> bool:
    return set(run.final_states().values()) == {tallied(TINY_STEPS)}


def _watched_memory(run: Run) -> float:
    """The driver's highest memory, looked at until the job has ended."""
    peak = 0.0
    while not run.over:
        for began, _ in run.told(JobBegan):
            peak = max(peak, _high_water_mb(began.pid))
        time.sleep(0.3)
    return peak


def _high_water_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def measured(settings: Settings, rounds: int, steps: int, crowd: Sequence[int], seed: int) -> list[Took]:
    """All rounds; the order within a round is drawn, and gone through there and back.

    So a machine that becomes slower or faster within a round, at a steady pace, does so for each contender alike.
    """
    table = write_rows(settings.state_dir / "runs" / "table")
    pair = _side_by_side(settings, table, steps)
    found = []
    for number in range(1, rounds + 1):
        order = [BARE, OURS, FORGETFUL]
        random.Random(f"{seed}/{number}").shuffle(order)
        say(f"round {number}/{rounds}")
        found += [timed(pair, number, contender) for contender in (*order, *reversed(order))]
        for count in crowd:
            units = {f"unit-{i:04d}": tiny_unit(TINY_STEPS) for i in range(count)}
            found.append(timed(Task(settings, table, units, _all_tallied), number, OURS))
    return found


def judged(found: Sequence[Took]) -> list[Bar]:
    """The bars of an undisturbed training, pure; ratios are within a round, so that a busy minute is nobody's fault."""
    bare, ours, forgetful = (_costs(found, name, SIDE_BY_SIDE) for name in (BARE.name, OURS.name, FORGETFUL.name))
    few, many = _costs(found, OURS.name, CROWD[0]), _costs(found, OURS.name, CROWD[-1])
    step_s = statistics.median(bare.values()) * SIDE_BY_SIDE if bare else 0.0
    crowd = [took for took in found if took.units == CROWD[-1]]
    rates = [took.steps / took.work_s for took in crowd]
    rate = f"{statistics.median(rates):.0f}/s (n={len(rates)})" if rates else "nothing"
    return [
        usually_at_most("machinery, against the bare loop", 5, _more(ours, bare), "%"),
        usually_at_most("checkpoints, one each step", 3, _more(ours, forgetful), "%"),
        Bar("a step in those runs", "≥ 0.2 s", f"{step_s:.3f} s", step_s >= 0.2),
        Bar(
            "1,000 units of 10 tiny steps: committed", "≥ 300/s", rate, bool(rates) and statistics.median(rates) >= 300
        ),
        usually_at_most("cost by step, 1,000 units against 10", 25, _more(many, few), "% more"),
        at_most("memory of the driver of 1,000 units", 300, [took.driver_mb for took in crowd], "MB"),
        all_of("the model of the undisturbed run", [took.same for took in found if took.contender == OURS.name]),
    ]


def _costs(found: Sequence[Took], contender: str, units: int) -> dict[int, float]:
    """By round what a step took, on average over the runs of the round."""
    by_round: dict[int, list[float]] = {}
    for took in found:
        if (took.contender, took.units) == (contender, units):
            by_round.setdefault(took.round, []).append(took.per_step_s)
    return {number: statistics.mean(costs) for number, costs in by_round.items()}


def _more(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """How many per cent more, in each round that has both."""
    return [100 * (ours[number] / theirs[number] - 1) for number in ours if number in theirs]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Bare loop, koboshi, koboshi without checkpoints; and back.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Steps of about 0.25 s in each of two units side by side.")] = 120,
    seed: Annotated[int, typer.Option(help="Decides the order.")] = 1,
    quick: Annotated[bool, typer.Option(help="One round of few steps: to see that it runs.")] = False,
    here: Annotated[bool, typer.Option(help="On the stack of this project that runs already.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Measure, show the table, keep the figures; exit 65 for a missed bar (with --quick: a differing model)."""
    plan = (1, 3, CROWD[:1], seed) if quick else (rounds, steps, CROWD, seed)
    if here:
        found = measured(load_settings(PROJECT), *plan)
    else:
        with own_stack("ray") as settings:
            found = measured(settings, *plan)
    listed = judged(found)
    bars.show("Training without faults", listed)
    kept = bars.save("training", results, listed, PROJECT, raw=[dataclasses.asdict(took) for took in found])
    say(f"the figures are in {kept}")
    sys.exit(STOP if bars.missed(listed[-1:] if quick else listed) else 0)


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main), "benchmark-training")
