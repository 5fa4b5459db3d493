"""Starts experiments, each in a fresh process, under conditions that are pinned."""

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from koboshi.refs import DatasetRef
from koboshi.training.spec import UnitSpec
from koboshi.training.testing.diagnosis import Run
from koboshi.training.testing.experiment import ExperimentOrder, RunOrder, read_runs
from koboshi.training.testing.other_clock import Clock

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
