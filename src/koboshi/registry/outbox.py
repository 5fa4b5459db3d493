"""The outbox: trainings that MLflow has not taken yet, as files on disk, in the order in which they came.

    <number>-<key[:16]>-<sha256>.v1.zip     record.json, and for each unit a pickle of its model and its example rows

One file is one entry: it appears whole or not at all, and is removed once it was delivered. What is to be looked at by
a person lies in `refused/`, with the reason beside it. A model is unpickled when it is delivered: digests guard against
corruption, not against somebody who may write here.
"""

import dataclasses
import json
import pickle
import re
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from koboshi.errors import BadInput, Conflict
from koboshi.files import TEMPORARY_PREFIX, naming_disk_failures, publish, publish_bytes, sha256_of, verify
from koboshi.names import one_part
from koboshi.registry.facts import TrainingFacts
from koboshi.registry.progress import StepRecord, TrainingRecord, UnitRecord

FORMAT_VERSION = 1
RECORD = "record.json"
REFUSED = "refused"
GRACE_S = 3_600.0
_NAME = re.compile(r"(?P<number>\d{8})-(?P<key>\w{1,16})-(?P<sha256>[0-9a-f]{64})\.v(?P<format>\d+)\.zip")


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A training that waits: `key` is the beginning of its key, `since_s` when it was put here (seconds since 1970)."""

    number: int
    key: str
    sha256: str
    path: Path
    size_bytes: int
    since_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Outbox:
    """The entries in one folder. Many may add at once; one at a time removes (`mlflow_delivery.deliver`)."""

    folder: Path

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """The outbox of a project's state folder."""
        return cls(state_dir / "outbox")

    def add(self, training: TrainingRecord) -> Entry:
        """Keep a training until it is delivered; one that waits already, and is whole, is not kept twice.

        Key: the training's key. Commit: the entry's name. Under a crash: no entry, or a whole one. Raises `DiskFailed`.
        """
        if waiting := next((entry for entry in self.entries() if self._is_of(entry, training.key)), None):
            return waiting
        self._sweep()
        number = max((entry.number for entry in self.entries()), default=0) + 1
        beginning = one_part(f"{number:08d}-{training.key[:16]}", "the training")
        published = publish(
            self.folder,
            lambda sha256: f"{beginning}-{sha256}.v{FORMAT_VERSION}.zip",
            lambda path: _write(path, training),
        )
        return _entry(published.path)

    def entries(self) -> list[Entry]:
        """What waits, in the order in which it came; raises `BadInput` for an entry of a newer format."""
        waiting = []
        for path in sorted(self.folder.glob("*.zip")):
            with suppress(FileNotFoundError):  # delivered just now
                waiting.append(_entry(path))
        return waiting

    def refused(self) -> Mapping[str, str]:
        """What was quarantined, by name, and why."""
        return {path.stem: path.read_text().strip() for path in sorted((self.folder / REFUSED).glob("*.txt"))}

    def read(self, entry: Entry) -> TrainingRecord:
        """The training that was put here.

        Raises `Corrupt`, before anything is unpickled, when its bytes differ, and `Conflict` when its models are of
        classes that are not here.
        """
        verify(entry.path, entry.sha256, "outbox entry", "run the train stage again, which records it from its steps")
        with zipfile.ZipFile(entry.path) as archive:
            fields = json.loads(archive.read(RECORD))
            units = [_unit(unit, _unpickled(archive.read(unit["model"]), entry)) for unit in fields["units"]]
        facts = TrainingFacts.from_json(fields.get("facts", {}))
        return TrainingRecord(fields["experiment"], fields["key"], fields["params"], units, facts)

    def remove(self, entry: Entry) -> None:
        """Forget an entry that was delivered."""
        with naming_disk_failures(self.folder):
            entry.path.unlink(missing_ok=True)

    def quarantine(self, entry: Entry, reason: str) -> None:
        """Take an entry that cannot be delivered out of the way of the others, for a person to look at."""
        kept = self.folder / REFUSED / entry.path.name
        publish_bytes(kept.with_suffix(".txt"), f"{reason}\n".encode())
        with naming_disk_failures(self.folder):
            entry.path.replace(kept)

    def _sweep(self) -> None:
        """Remove what somebody who was killed has left half written."""
        for path in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            with naming_disk_failures(self.folder), suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - GRACE_S:
                    path.unlink()

    def _is_of(self, entry: Entry, key: str) -> bool:
        """Whether it is this training's, and not harmed."""
        with suppress(FileNotFoundError):
            return entry.key == key[:16] and sha256_of(entry.path) == entry.sha256
        return False


def _write(path: Path, training: TrainingRecord) -> None:
    """The same training gives the same bytes, and so the same name, at any time."""
    units = [_described(number, unit) for number, unit in enumerate(training.units)]
    record = {"experiment": training.experiment, "key": training.key, "params": _words(training.params), "units": units}
    record |= {"facts": training.facts.as_json()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(_member(RECORD), json.dumps(record, indent=1))
        for unit, told in zip(training.units, units, strict=True):
            with archive.open(_member(told["model"]), "w", force_zip64=True) as file:
                pickle.dump((unit.model, unit.example), file, protocol=pickle.HIGHEST_PROTOCOL)


def _member(name: str) -> zipfile.ZipInfo:
    """Without the time of day, which zipfile would write beside the name."""
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o600 << 16
    return member


def _words(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow keeps them, so that they are the same words whether they have waited or not."""
    return {name: str(value) for name, value in params.items()}


def _described(number: int, unit: UnitRecord) -> dict[str, Any]:
    return {
        "name": unit.name,
        "params": _words(unit.params),
        "steps": [{"step": s.step, "metrics": dict(s.metrics), "at_s": s.at_s} for s in unit.steps],
        "recoveries": list(unit.recoveries),
        "model": f"{number}.pickle",
    }


def _unpickled(data: bytes, entry: Entry) -> tuple[Any, Any]:
    try:
        model, example = pickle.loads(data)
    except (ImportError, AttributeError) as error:
        raise Conflict(
            f"models of {entry.path} cannot be loaded here ({error}): deliver it where it was trained."
        ) from error
    return model, example


def _unit(told: Mapping[str, Any], kept: tuple[Any, Any]) -> UnitRecord:
    steps = [StepRecord(**step) for step in told["steps"]]
    return UnitRecord(told["name"], told["params"], steps, told["recoveries"], *kept)


def _entry(path: Path) -> Entry:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise BadInput(f"{path} is no entry of the outbox: move it elsewhere.")
    if int(named["format"]) > FORMAT_VERSION:
        raise BadInput(f"{path} has format {named['format']}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
    stat = path.stat()
    return Entry(int(named["number"]), named["key"], named["sha256"], path, stat.st_size, stat.st_mtime)
