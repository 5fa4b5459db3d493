"""`make benchmark-model`: the published models and ours by the published protocol, week after week, under kills.

Every model of every week is a unit of one training on a Ray cluster of its own. It is trained twice: with a worker
killed every so many seconds, and without kills. The two tables are printed; scores have to be the same to the last bit.
Figures and machine go to benchmarks/results/model.json, the picture beside it; a missed bar is exit code 65.
"""

import dataclasses
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from benchmarks import bars
from benchmarks.bars import Bar
from benchmarks.ensured import AttainedRun
from benchmarks.model import report
from benchmarks.model.entrants import Entrant, entrants, units
from benchmarks.model.killer import Killer
from benchmarks.model.outcome import Outcome, outcome, perfect
from benchmarks.model.rows import write_rows
from benchmarks.model.weeks import end, last_day, weeks
from benchmarks.own_stack import PROJECT, own_stack
from benchmarks.workload import new_spec
from koboshi.datasets.params import load_params
from koboshi.errors import BadInput
from koboshi.exits import STOP, run_and_exit
from koboshi.formats.manifest import DatasetRef
from koboshi.settings import Settings, load_settings
from pipelines.candidates import TrainParams
from pipelines.columns import TABLE
from pipelines.features import FeatureParams
from pipelines.judging import EvaluateParams
from pipelines.simulator import Simulation
from pipelines.splits import Split

ACTORS = 2
FEWEST_WEEKS, KILLS = 4, 5
ENDS_WITHIN_S = 1_800.0
QUICK_CUSTOMERS = 500


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is done."""

    simulation: Simulation
    weeks: Sequence[Split]
    entrants: Sequence[Entrant]
    seed: int
    every_s: float
    kills: int
    on_time: bool = True

    def kills_needed(self, trained_s: float) -> int:
        """One for each turn, as the last may come too late; but some in any case."""
        return max(self.kills, int(trained_s // self.every_s) - 1) if self.on_time else self.kills


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def planned(seed: int, every_s: float, quick: bool) -> Plan:
    """The published protocol on the whole simulation; `quick` is a tenth of the customers, one week and one kill."""
    first, today = load_params(PROJECT, "split", Split), load_params(PROJECT, "train", TrainParams)
    simulation = Simulation(seed=seed, customers=QUICK_CUSTOMERS) if quick else Simulation(seed=seed)
    found = weeks(first, last_day(simulation))
    if len(found) < FEWEST_WEEKS:
        raise BadInput(f"from {first.start} on there are {len(found)} weeks, not {FEWEST_WEEKS}: set `split` earlier.")
    if quick:
        return Plan(simulation, found[:1], entrants(today), seed, min(every_s, 1.0), kills=1, on_time=False)
    return Plan(simulation, found, entrants(today), seed, every_s, KILLS)


class Benchmark:
    """Two trainings of the same units on one cluster."""

    def __init__(self, settings: Settings, plan: Plan, params: EvaluateParams) -> None:
        """Make the table."""
        self._settings, self._plan, self._params = settings, plan, params
        self._table = self._written()
        self._rows = pl.read_parquet(Path(self._table.path) / TABLE)
        self.perfect = perfect(self._rows, plan.weeks, params)

    def _written(self) -> DatasetRef:
        plan, began = self._plan, time.monotonic()
        first, last = plan.weeks[0].start, end(plan.weeks[-1])
        folder = self._settings.state_dir / "runs" / "stream"
        table = write_rows(folder, plan.simulation, load_params(PROJECT, "features", FeatureParams), first, last)
        say(f"{plan.simulation.days} days simulated; features of {first} to {last}: {time.monotonic() - began:.0f} s")
        return table

    def trained(self, killing: bool) -> Outcome:
        """Everybody in every week, from the first step to the last commit; then their scores of the test weeks."""
        plan = self._plan
        ordered = units(plan.entrants, plan.weeks, load_params(PROJECT, "train", TrainParams).seed)
        say(f"{len(ordered)} units, {'a worker killed every ' + f'{plan.every_s:g} s' if killing else 'without kills'}")
        run = AttainedRun(self._settings, new_spec(self._settings, self._table, ordered, ACTORS))
        killer = Killer(run, plan.every_s, random.Random(plan.seed), say)
        if killing:
            killer.until_over()
        run.wait(ENDS_WITHIN_S)
        found = outcome(run, killer.killed(), self._rows, plan.entrants, plan.weeks, self._params)
        run.close()
        say(f"  trained in {found.trained_s:.0f} s, {len(found.kills)} workers killed")
        return found


def main(
    seed: Annotated[int, typer.Option(min=0, help="Of the simulation, and of whom the killer picks.")] = 0,
    every: Annotated[float, typer.Option(min=1.0, help="Seconds from kill to kill.")] = 20.0,
    quick: Annotated[
        bool, typer.Option(help="A tenth of the customers, one week, one kill: see that it runs.")
    ] = False,
    here: Annotated[bool, typer.Option(help="On the stack of this project that runs already.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Train twice, compare, show, keep; exit 65 when kills changed a bit or were too few, or a bar is missed."""
    plan, params = planned(seed, every, quick), load_params(PROJECT, "evaluate", EvaluateParams)
    if here:
        found = _measured(load_settings(PROJECT), plan, params)
    else:
        with own_stack("ray") as settings:
            found = _measured(settings, plan, params)
    benchmark, struck, calm = found
    for title, one in ((f"A worker killed every {plan.every_s:g} s", struck), ("Without kills", calm)):
        report.show(title, report.lines(plan.entrants, one.figures, benchmark.perfect))
    listed = report.same(struck, calm, plan.kills_needed(struck.trained_s))
    listed += [] if quick else report.worth(plan.entrants, struck.figures, params.select_by)
    bars.show("Is the model worth it, whatever dies", listed)
    _kept(results, plan, benchmark, struck, calm, listed)
    sys.exit(STOP if bars.missed(listed) else 0)


def _measured(settings: Settings, plan: Plan, params: EvaluateParams) -> tuple[Benchmark, Outcome, Outcome]:
    benchmark = Benchmark(settings, plan, params)
    return benchmark, benchmark.trained(killing=True), benchmark.trained(killing=False)


def _kept(
    folder: Path, plan: Plan, benchmark: Benchmark, struck: Outcome, calm: Outcome, listed: Sequence[Bar]
) -> None:
    """Every raw figure, and the picture."""
    raw = {name: dataclasses.asdict(one) for name, one in (("killed", struck), ("undisturbed", calm))}
    told = {
        "simulation": plan.simulation.model_dump(mode="json"),
        "weeks": [week.model_dump(mode="json") for week in plan.weeks],
        "entrants": [dataclasses.asdict(entrant) for entrant in plan.entrants],
        "every_s": plan.every_s,
        "perfect": benchmark.perfect,
    }
    path = bars.save("model", folder, listed, PROJECT, **told, raw=raw)
    title = f"Lines: without kills. Crosses: a worker killed every {plan.every_s:g} s ({len(struck.kills)} in all)."
    from benchmarks.model.picture import draw  # here, since Matplotlib takes long to import

    draw(calm.figures, struck.figures, plan.entrants, folder / "model.svg", title)
    say(f"the figures are in {path}, and the picture beside it")


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main), "benchmark-model")
