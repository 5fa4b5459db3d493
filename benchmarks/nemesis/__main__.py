"""`make nemesis-training`: faults drawn from a seed, over trainings of every ready-made unit.

Each training has to end with the undisturbed one's predictions, bit for bit, and its metrics of each step, in the
ledger and (the first training of each kit) in MLflow, without a run too many; and no process of it may be left. The
seed is printed, and replays the schedule. Any difference is exit code 65.
"""

import dataclasses
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bars
from benchmarks.ensured import AttainedRun
from benchmarks.nemesis import recording
from benchmarks.nemesis.orphans import orphans
from benchmarks.nemesis.report import judged
from benchmarks.nemesis.schedule import SHARES, RunPlan, draw, left_over
from benchmarks.nemesis.striker import NeverRecoveredError, Striker, Struck
from benchmarks.nemesis.trainings import COLUMNS, kits
from benchmarks.nemesis.verdicts import Outcome, differences, differences_in_mlflow
from benchmarks.own_stack import PROJECT, own_stack
from benchmarks.undisturbed import Kit, Undisturbed, undisturbed
from benchmarks.witness import Witness
from benchmarks.workload import new_spec, write_rows
from koboshi.drills.kit.faults import why_not_healthy
from koboshi.errors import BadInput, KoboshiError
from koboshi.events import JobBegan, WorkerReady
from koboshi.exits import STOP, run_and_exit
from koboshi.ledger import steps
from koboshi.settings import Settings, load_settings, required

FAULTS, FAULTS_A_RUN, HEIGHT, ACTORS = 200, 8, 8_000, 2
ENDS_WITHIN_S = 400.0
NOT_IN_MLFLOW = "data-parallel"  # its units are shares, and no models of their own


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


class Nemesis:
    """One schedule on one stack."""

    def __init__(self, settings: Settings, wanted: int) -> None:
        self._settings, self._wanted = settings, wanted
        self._table = write_rows(settings.state_dir / "runs" / "table", HEIGHT, COLUMNS)
        self._controls: dict[str, Undisturbed] = {}
        self.struck: list[Struck] = []
        self.differing: list[str] = []
        self.runs: Counter[str] = Counter()

    def work_off(self, plans: list[RunPlan]) -> None:
        """Every fault strikes: those that a training left over are taken by another one of its kit."""
        waiting, number = list(plans), len(plans)
        while waiting:
            plan = waiting.pop(0)
            done = self.run(plan)
            if done < len(plan.faults) and self.runs.total() < 3 * len(plans):
                number += 1
                waiting += [rest for rest in [left_over(plan, done, number)] if rest]

    def run(self, plan: RunPlan) -> int:
        """One training, struck and judged; how many of its faults took."""
        kit = kits()[plan.kit]
        say(f"run {plan.number}: {kit.name}, {len(kit.units)} units, {len(plan.faults)} faults")
        run = AttainedRun(self._settings, new_spec(self._settings, self._table, kit.units, ACTORS))
        done, told = 0, []
        try:
            done = self._strike_all(plan, Striker(self._settings, run))
            run.wait(ENDS_WITHIN_S)
            told = self._compared(kit, run)
        except (NeverRecoveredError, KoboshiError) as error:
            told = [str(error)]
        self.runs[kit.name] += 1
        self._tell(plan, told, run.heard)
        run.close()
        return done

    def _strike_all(self, plan: RunPlan, striker: Striker) -> int:
        for done, fault in enumerate(plan.faults):
            if (struck := striker.strike(fault)) is None:
                return done
            self.struck.append(struck)
            after = "nothing was left to do" if struck.recovered_s is None else f"{struck.recovered_s:.2f} s"
            say(f"  [{len(self.struck)}/{self._wanted}] {struck.kind}: {struck.target} → {after}")
        return len(plan.faults)

    def _compared(self, kit: Kit, witness: Witness) -> list[str]:
        if kit.name not in self._controls:
            self._controls[kit.name] = undisturbed(kit, self._table)
        control, spec = self._controls[kit.name], witness.spec
        rows = {unit: steps.committed(witness.ledger, spec.key, unit) for unit in spec.units}
        committed = {unit: [(row.checkpoint.step, row.metrics) for row in found] for unit, found in rows.items()}
        pids = {ready.pid: ready.name for ready, _ in witness.told(WorkerReady)}
        pids |= {began.pid: began.name for began, _ in witness.told(JobBegan)}
        left = orphans(self._settings, pids)
        told = differences(Outcome(committed, kit.predictions(witness.final_states(), self._table), left), control)
        url = self._settings.mlflow.tracking_uri
        if url and not self.runs[kit.name] and kit.name != NOT_IN_MLFLOW:
            recording.record(url, kit, witness)
            told += differences_in_mlflow(recording.recorded(url, spec.key), control)
        return told

    def _tell(self, plan: RunPlan, told: list[str], heard: list[str]) -> None:
        say(f"  run {plan.number} {'differs: ' + '; '.join(told) if told else 'came out as the undisturbed one'}")
        if told:
            self.differing.append(f"run {plan.number} ({plan.kit}): {'; '.join(told)}")
            for line in heard[-10:]:
                say(f"    {line}")


def main(
    seed: Annotated[int, typer.Option(help="Replays a schedule; without it, one is drawn and printed.")] = 0,
    faults: Annotated[int, typer.Option(min=1, help="How many faults strike.")] = FAULTS,
    a_run: Annotated[int, typer.Option(min=1, help="How many of them strike one training.")] = FAULTS_A_RUN,
    kind: Annotated[list[str] | None, typer.Option(help=f"Only these: {', '.join(SHARES)}.")] = None,
    kit: Annotated[list[str] | None, typer.Option(help="Only these kits of units.")] = None,
    mlflow: Annotated[bool, typer.Option(help="Record the first training of each kit, and look.")] = True,
    here: Annotated[bool, typer.Option(help="On the stack of this project that runs already.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Inject, compare, report; exit 65 on any difference."""
    seed = seed or random.SystemRandom().randrange(1, 1_000_000)
    plans = draw(seed, faults, a_run, known(kit, kits(), "kit"), known(kind, SHARES, "kind of fault"))
    say(f"seed {seed}: {faults} faults over {len(plans)} trainings; `--seed {seed}` replays the schedule")
    if here:
        nemesis = _worked_off(load_settings(PROJECT), faults, plans)
    else:
        with own_stack("ray", *(["mlflow"] if mlflow else [])) as settings:
            nemesis = _worked_off(settings, faults, plans)
    listed = judged(nemesis.struck, faults, nemesis.runs.total(), nemesis.differing)
    bars.show(f"Nemesis, seed {seed}", listed)
    raw = [dataclasses.asdict(one) for one in nemesis.struck]
    told = {"seed": seed, "runs": dict(nemesis.runs), "differing": nemesis.differing}
    say(f"the figures are in {bars.save('nemesis', results, listed, PROJECT, **told, raw=raw)}")
    sys.exit(STOP if bars.missed(listed) else 0)


def known(chosen: list[str] | None, there: Mapping[str, object], what: str) -> list[str]:
    """Those that were named, or all; raises `BadInput` for one that is not there."""
    for name in chosen or ():
        if name not in there:
            raise BadInput(f"there is no {what} {name}: choose from {', '.join(there)}.")
    return chosen or list(there)


def _worked_off(settings: Settings, faults: int, plans: list[RunPlan]) -> Nemesis:
    required(settings.ray.jobs_url, "Ray")
    nemesis = Nemesis(settings, faults)
    nemesis.work_off(plans)
    if reason := why_not_healthy(settings, "ray", ENDS_WITHIN_S):
        nemesis.differing.append(f"the cluster is not whole again: {reason}")
    return nemesis


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main), "nemesis-training")
