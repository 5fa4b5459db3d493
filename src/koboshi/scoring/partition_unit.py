"""A partition as a unit of one step: what the training room does for steps, it does for partitions."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.datasets.build import open_verified
from koboshi.errors import Corrupt
from koboshi.formats.manifest import Dataset, DatasetRef
from koboshi.refs import ModelRef
from koboshi.scoring.polars_partition import Partition, scored_partition
from koboshi.serving.engine import Model, load, verified_artefact
from koboshi.serving.mlflow_reader import MlflowReader
from koboshi.serving.replica import Aliased


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A registered version, where its artefact lies, and the folder where artefacts are kept by digest."""

    ref: ModelRef
    source: str
    tracking_uri: str
    cache: Path

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.ref.name} version {self.ref.version}"


@functools.lru_cache(maxsize=1)
def model_of(version: Version) -> Model:
    """The model, once for each process: its artefact's digest checked, and its recorded example answered to the bit.

    The artefact is fetched when this machine does not have it. Raises `Corrupt` for other bytes or other answers.
    """
    reader = MlflowReader(version.tracking_uri, version.ref.name, slot="")
    seen = Aliased(version.ref, version.source)
    fetched = verified_artefact(version.cache, version.ref.sha256, lambda at: reader.fetch(seen, at), version.name)
    return load(fetched).model


FACTORY = "koboshi.scoring.partition_unit:partition_unit"


class PartitionUnit:
    """Scores one partition; its state is the Parquet file with the scores, byte by byte.

    Same rows, same artefact: same bytes, whoever does it, and after whatever. The model is loaded and the dataset
    verified once for each process.
    """

    def __init__(self, partition: Partition, version: Version, keep: Sequence[str]) -> None:
        """Nothing is read yet."""
        self._partition, self._version, self._keep = partition, version, keep
        self._path, self._scored = Path(), b""

    def start(self, table: DatasetRef) -> None:
        """Open the dataset; raises `Corrupt` when it is not the one whose scores were ordered."""
        self._path = _opened(table).path(self._partition.file)

    def step(self, number: int) -> Mapping[str, float]:  # noqa: ARG002 (there is but one)
        """Score."""
        self._scored, told = scored_partition(self._path, self._partition, model_of(self._version), self._keep)
        return told

    def dump(self) -> bytes:
        """The file with the scores."""
        return self._scored

    def load(self, state: bytes) -> None:
        """Take up what was scored."""
        self._scored = state


def unit_params(partition: Partition, version: Version, keep: Sequence[str]) -> dict[str, Any]:
    """What `partition_unit` takes, as JSON values."""
    return {
        "partition": [partition.name, partition.file, partition.start, partition.rows],
        "model": version.ref.as_json(),
        "source": version.source,
        "tracking_uri": version.tracking_uri,
        "cache": str(version.cache),
        "keep": list(keep),
    }


def partition_unit(
    partition: Sequence[Any], model: dict[str, Any], source: str, tracking_uri: str, cache: str, keep: Sequence[str]
) -> PartitionUnit:
    """The unit that `unit_params` described."""
    version = Version(ModelRef.from_json(model), source, tracking_uri, Path(cache))
    return PartitionUnit(Partition(*partition), version, keep)


@functools.lru_cache(maxsize=1)
def _opened(table: DatasetRef) -> Dataset:
    dataset = open_verified(Path(table.path))
    if dataset.sha256 != table.manifest_sha256:
        raise Corrupt(f"{table.path} has changed since its scores were ordered: order them again.")
    return dataset
