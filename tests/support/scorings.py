"""Small batch scorings in a folder of their own: a dataset, a recorded model, and jobs that run in this process."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from koboshi.datasets.build import building
from koboshi.events import in_words, to_all
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.refs import ModelRef
from koboshi.scoring.batch import Order
from koboshi.scoring.partition_unit import Version
from koboshi.training import RunConfig, TrainingSpec
from koboshi.training.attach import JobInfo
from koboshi.training.driver.loop import train
from tests.support.artefacts import recorded_artefact
from tests.support.local_pool import LocalPool
from tests.support.models import COLUMNS

ROWS = {"a.parquet": 130, "deep/b.parquet": 75}
PARTITION_ROWS = 50
PARTITIONS = 5


def rows_of(count: int, seed: int = 0) -> pl.DataFrame:
    """An id, a column that the model does not know, and those that it learnt from; some of them are missing."""
    numbers = np.random.default_rng(seed)
    features = {name: numbers.normal(size=count) for name in COLUMNS}
    table = pl.DataFrame({"id": np.arange(count), "noise": ["x"] * count, **features})
    return table.with_columns(a=pl.when(pl.col("id") % 17 == 3).then(None).otherwise(pl.col("a")))


def small_dataset(folder: Path, files: Mapping[str, int] = ROWS) -> Path:
    """A sealed dataset of some Parquet files, and of something that is no table."""
    with building(folder) as fresh:
        for seed, (name, count) in enumerate(files.items()):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            rows_of(count, seed).write_parquet(fresh / name)
        (fresh / "notes.json").write_text("{}")
    return folder


def recorded_version(folder: Path, kind: str = "boosting") -> Version:
    """A version whose artefact is on this machine already, so that no registry is asked."""
    sha256 = recorded_artefact(folder / "new", kind)
    (folder / "models").mkdir(parents=True)
    (folder / "new").rename(folder / "models" / sha256)
    return Version(ModelRef("m", 1, "k" * 64, sha256), "nowhere", "http://127.0.0.1:9", folder / "models")


def small_order(folder: Path, version: Version) -> Order:
    """Five partitions of two files."""
    dataset = small_dataset(folder / "data" / "rows")
    return Order(dataset, version, folder / "data" / "scored", ("id",), PARTITION_ROWS)


def place_in(folder: Path) -> RunConfig:
    return RunConfig(str(folder), str(folder), f"sqlite:///{folder / 'ledger.db'}", lease_s=5.0)


@dataclasses.dataclass
class LocalJobs:
    """Where a job runs at once, in this process, on the pool that the test gives for it."""

    pool: Callable[[], LocalPool] = LocalPool
    submitted: list[str] = dataclasses.field(default_factory=list)
    pools: list[LocalPool] = dataclasses.field(default_factory=list)
    ended: JobInfo = dataclasses.field(default_factory=lambda: JobInfo("SUCCEEDED", 0, ""))
    said: list[str] = dataclasses.field(default_factory=list)

    def submit(self, name: str, entrypoint: str, env: Mapping[str, str], title: str = "") -> bool:  # noqa: ARG002
        self.submitted.append(name)
        spec = TrainingSpec.from_json(Path(entrypoint.split()[-2]).read_text())
        self.pools.append(self.pool())
        emit = to_all(Journal(spec.place.journal).emit, in_words(self.said.append))
        try:
            train(spec, self.pools[-1], Ledger(spec.place.ledger_url), emit)
        except Exception as error:  # noqa: BLE001 (a job ends with its error's exit code, whatever it was)
            self.said.append(str(error))
            self.ended = JobInfo("FAILED", getattr(error, "exit_code", 1), str(error))
        return True

    def find(self, name: str) -> JobInfo | None:  # noqa: ARG002
        return self.ended

    def log(self, name: str) -> str:  # noqa: ARG002
        return "\n".join(self.said)

    @property
    def begun(self) -> list[str]:
        """The partitions that were given out, as often as they were."""
        return [unit for pool in self.pools for unit, _step in pool.begun]


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
