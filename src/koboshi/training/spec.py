"""What is trained and where: the whole input of a training job, as one JSON file."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from koboshi import json_text
from koboshi.errors import BadInput
from koboshi.refs import DatasetRef

FORMAT_VERSION = 2


@dataclasses.dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit: the factory that makes it (`package.module:name`), its parameters, and how many steps it takes.

    A worker that is at one step for longer than `step_limit_s`, and than three times the longest step before, is taken
    for hung, however well it beats. The limit decides nothing of the outcome, so it is no part of the key.
    The members of a `gang` do each step together: none begins it before all have committed the one before.
    """

    factory: str
    params: Mapping[str, Any]
    steps: int
    step_limit_s: float = 600.0
    gang: str = ""

    def facts(self) -> dict[str, Any]:
        """What decides the outcome."""
        facts = {"factory": self.factory, "params": self.params, "steps": self.steps}
        return {**facts, "gang": self.gang} if self.gang else facts


@dataclasses.dataclass(frozen=True, slots=True)
class Workplace:
    """Where a training works; nothing of it is part of the key. Paths are absolute, and the same on every node.

    `store` is the URL of the checkpoint store, where it is not in the state folder. Of a unit's checkpoints the newest
    `kept` are kept, as far as they are not older than `kept_s`; but the newest three in any case.
    """

    project: str
    state_dir: str
    ledger_url: str
    actors: int = 2
    lease_s: float = 15.0
    store: str = ""
    kept: int = 3
    kept_s: float = 30 * 86_400.0

    @property
    def checkpoints(self) -> Path:
        """The folder of the specifications, and of the checkpoints where `store` names nothing else."""
        return Path(self.state_dir) / "checkpoints"

    @property
    def store_url(self) -> str:
        """The checkpoint store: see `checkpoint_store.store_at`."""
        return self.store or str(self.checkpoints)

    @property
    def journal(self) -> Path:
        """Where trainings write down what happened."""
        return Path(self.state_dir) / "journal" / "training.jsonl"


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingSpec:
    """What a training job gets. `key` is the digest of all that decides the outcome: see `training_key`."""

    key: str
    table: DatasetRef
    units: Mapping[str, UnitSpec]
    place: Workplace
    threads: int = 1

    def to_json(self) -> str:
        """The specification as a JSON document."""
        return json.dumps({"format": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The specification that `to_json` wrote; another format is refused."""
        fields = json_text.loads(text)
        if (found := fields.pop("format", None)) not in (1, FORMAT_VERSION):
            raise BadInput(f"the training specification has format {found}, not {FORMAT_VERSION}: submit it again.")
        units = {name: UnitSpec(**unit) for name, unit in fields["units"].items()}
        table, place = DatasetRef(**fields["table"]), Workplace(**fields["place"])
        return cls(fields["key"], table, units, place, fields["threads"])

    def job_name(self, attempt: int) -> str:
        """The name of an attempt, the same for everybody who submits it."""
        return f"{self.key[:16]}-{attempt}"

    @property
    def factories(self) -> tuple[str, ...]:
        """What a worker imports to be warm: also what a unit is made of, where it is a share of another one."""
        inner = {found["factory"] for unit in self.units.values() if "factory" in (found := _inner(unit))}
        return tuple(sorted({unit.factory for unit in self.units.values()} | inner))


def _inner(unit: UnitSpec) -> Mapping[str, Any]:
    """The unit that a unit is made of, if its parameters name one as `data_parallel` does."""
    inner = unit.params.get("unit")
    return inner if isinstance(inner, Mapping) else {}


def training_key(table: DatasetRef, units: Mapping[str, UnitSpec], **digests: str | int) -> str:
    """SHA-256 over what decides the outcome: the table's manifest, the units, and what else the caller names.

    Those are the digests of the units' code and of the environment's lock, and the number of threads (bits may depend
    on each); a drill adds a salt, to have a run of its own.
    """
    facts = {
        "table": table.manifest_sha256,
        "units": {name: unit.facts() for name, unit in units.items()},
        **digests,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
