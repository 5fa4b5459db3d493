"""A partition as a unit of one step: what the training room does for steps, it does for partitions."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.datasets.build import open_verified
from koboshi.errors import Corrupt
from koboshi.formats.manifest import Dataset
from koboshi.refs import DatasetRef, ModelRef
from koboshi.scoring.model_version import Version, model_of
from koboshi.scoring.partitions import Partition
from koboshi.scoring.polars_partition import scored_partition

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
