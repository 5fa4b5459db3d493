"""Runs the experiments that are needed, and no more: two processes for a unit that is exact.

All shares of one model are checked as one unit, whose step is a round: so a gang can be checked, too.
"""

import dataclasses
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef
from koboshi.training.spec import GangUnit, UnitSpec, make_unit
from koboshi.training.testing.diagnosis import Outcomes, Run, UnitVerdict, diagnose, failed, is_exact
from koboshi.training.testing.experiment import Clock, ExperimentOrder, RunOrder, read_runs

HERE = Clock(1_514_764_800.0, 0.001)  # the first of January 2018
ELSEWHERE = Clock(1_718_721_171.0, 0.0017)  # another year, season, weekday and hour, and everything takes longer
SHIFT = 1_000
TIMEOUT_S = 600.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclasses.dataclass(frozen=True, slots=True)
class Conditions:
    """What a unit's outcome must not depend on."""

    clock: Clock
    hash_seed: int
    threads: int

    @property
    def environment(self) -> dict[str, str]:
        """For a process that can import whatever this one can."""
        pinned = dict.fromkeys(_THREADS, str(self.threads))
        return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": str(self.hash_seed), **pinned}


@dataclasses.dataclass(frozen=True, slots=True)
class Laboratory:
    """Experiments with one unit; `folder` keeps the states that runs are taken up from."""

    spec: UnitSpec
    table: DatasetRef
    predict: str | None
    folder: Path
    timeout_s: float

    def runs(self, conditions: Conditions, *orders: RunOrder) -> Sequence[Run]:
        """Runs of the unit, one after another in one process. What ends the process counts as raised by the first."""
        order = ExperimentOrder(self.spec, self.table, self.predict, str(self.folder), conditions.clock, orders)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            written, result = Path(folder) / "order.json", Path(folder) / "result.json"
            written.write_text(order.to_json())
            command = [sys.executable, "-m", "koboshi.training.testing.experiment", str(written), str(result)]
            error = self._done(command, conditions.environment)
            return read_runs(result.read_text()) if error is None else [Run(run.after, (), error) for run in orders]

    def _done(self, command: list[str], environment: dict[str, str]) -> str | None:
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=self.timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return f"its process did not end within {self.timeout_s:.0f} s"
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return f"its process ended with {done.returncode}: {''.join(lines[-1:])}" if done.returncode else None


def check_unit(
    spec: UnitSpec,
    table: DatasetRef,
    *,
    predict: str | None = None,
    threads: tuple[int, ...] = (1, 2),
    timeout_s: float = TIMEOUT_S,
) -> UnitVerdict:
    """Whether a unit resumes exactly after every step; if not, where it first differs, and why.

    Compared are each step's metrics and the dump after it, as the value that was pickled (see `normal_form`) or as
    bytes; with `predict` (`package.module:function` of state, table and parameters) what that returns instead.
    `threads` of the numerical libraries: the second is what must make no difference; give one where it is pinned.
    `timeout_s` is for each of at most nine processes. Raises `BadInput` for less than two steps: nothing lies between.
    """
    if spec.steps < 2:
        raise BadInput(f"a unit of {spec.steps} step(s) has no break to be taken up after: check it with two or more.")
    with tempfile.TemporaryDirectory(prefix="koboshi-unit-") as folder:
        laboratory = Laboratory(spec, table, predict, Path(folder), timeout_s)
        here = Conditions(HERE, hash_seed=0, threads=threads[0])
        (straight,) = laboratory.runs(here, RunOrder(keep=True))
        if straight.error is not None:
            return failed(straight)
        elsewhere = Conditions(ELSEWHERE, hash_seed=1, threads=threads[-1])
        if is_exact(straight, _everything_else(laboratory, elsewhere)):
            return UnitVerdict()
        return diagnose(_outcomes(laboratory, here, elsewhere, straight))


def assert_exact(
    spec: UnitSpec, table: DatasetRef, *, predict: str | None = None, threads: tuple[int, ...] = (1, 2)
) -> None:
    """`check_unit` for a test: raises `AssertionError` with the sentence."""
    verdict = check_unit(spec, table, predict=predict, threads=threads)
    if not verdict.exact:
        raise AssertionError(f"{spec.factory} does not resume exactly. {verdict.sentence}")


def contract_of(
    units: Mapping[str, UnitSpec],
    table: Callable[[Path], DatasetRef],
    *,
    predict: str | None = None,
    threads: tuple[int, ...] = (1, 2),
) -> Callable[..., None]:
    """A pytest test with one case for each unit; `table` makes the dataset in a folder, once for all of them."""
    import pytest

    made: list[DatasetRef] = []

    @pytest.mark.parametrize("unit", list(units))
    def test_resumes_exactly_after_every_step(unit: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        if not made:
            made.append(table(tmp_path_factory.mktemp("table")))
        assert_exact(units[unit], made[0], predict=predict, threads=threads)

    return test_resumes_exactly_after_every_step


def _everything_else(laboratory: Laboratory, elsewhere: Conditions) -> tuple[Run, ...]:
    """All that may differ at once: process, clock, hashes, threads, where it was taken up, and no dumps in the last.

    The latest break comes first: a run touches only steps after its own break, so that what it leaves behind in the
    process (a cache, a class attribute) can never stand in for what an earlier break has lost.
    """
    return tuple(
        laboratory.runs(elsewhere, *map(RunOrder, range(laboratory.spec.steps - 1, 0, -1)), RunOrder(dumps=False))
    )


def _outcomes(laboratory: Laboratory, here: Conditions, elsewhere: Conditions, straight: Run) -> Outcomes:
    """One change at a time, each in a process of its own."""

    def run(conditions: Conditions, order: RunOrder) -> Run:
        return laboratory.runs(conditions, order)[0]

    unchanged = RunOrder()
    return Outcomes(
        straight,
        twin=run(here, unchanged),
        clock=run(dataclasses.replace(here, clock=elsewhere.clock), unchanged),
        order=run(dataclasses.replace(here, hash_seed=elsewhere.hash_seed), unchanged),
        threads=run(dataclasses.replace(here, threads=elsewhere.threads), unchanged),
        plain=run(here, RunOrder(dumps=False)),
        renumbered=run(here, RunOrder(shift=SHIFT)),
        resumed=tuple(laboratory.runs(here, *map(RunOrder, range(laboratory.spec.steps - 1, 0, -1)))),
    )


def in_rounds(shares: Mapping[str, UnitSpec]) -> UnitSpec:
    """A unit of all shares, in the order of their names; for `contract_of` and `check_unit`.

    Raises `BadInput` for shares that do not go together: of different gangs, or of different numbers of steps.
    """
    if len(kinds := {(spec.steps, spec.gang) for spec in shares.values()}) != 1:
        raise BadInput(f"shares of one model have one number of steps and one gang, and these have {sorted(kinds)}.")
    ((steps, gang),) = kinds
    specs = {name: dataclasses.asdict(spec) for name, spec in sorted(shares.items())}
    return UnitSpec(f"{__name__}:rounds", {"shares": specs, "gang": bool(gang)}, steps)


def rounds(shares: Mapping[str, Mapping[str, Any]], gang: bool) -> "Rounds":
    """The factory that `in_rounds` names."""
    units = {name: make_unit(spec["factory"], spec["params"]) for name, spec in shares.items()}
    return Rounds(cast("Mapping[str, GangUnit]", units), gang=gang)


class Rounds:
    """A `koboshi.training.Unit` of units, which join each other's states before each step but the first."""

    def __init__(self, units: Mapping[str, GangUnit], *, gang: bool) -> None:
        self._units, self._gang = units, gang
        self._states: Sequence[bytes] = ()

    def start(self, table: DatasetRef) -> None:
        """Start all shares."""
        for unit in self._units.values():
            unit.start(table)

    def step(self, number: int) -> Mapping[str, float]:
        """One step of every share."""
        if self._gang and self._states:
            for unit in self._units.values():
                unit.join(self._states)
        told = {name: unit.step(number) for name, unit in self._units.items()}
        self._states = [unit.dump() for unit in self._units.values()]
        return {f"{name} {metric}": value for name, metrics in told.items() for metric, value in metrics.items()}

    def dump(self) -> bytes:
        """The shares' states."""
        return pickle.dumps(list(self._states), protocol=5)

    def load(self, state: bytes) -> None:
        """Take up all shares; in a gang the next step joins them anyhow."""
        self._states = pickle.loads(state)
        if not self._gang:
            for unit, own in zip(self._units.values(), self._states, strict=True):
                unit.load(own)
