"""What is trained, a unit, and the whole input of a training job, as one JSON file.

A unit learns in steps, and can be put down and taken up again between any two of them.
"""

import dataclasses
import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from koboshi.documents import load_json
from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef
from koboshi.names import one_part, parts_below, resolve


class Unit(Protocol):
    """What a candidate implements; a factory makes it from its parameters (JSON values).

    The promise that all recovery rests on, checked by tests/contracts/test_unit.py for each candidate: for every k,
    `start`, `load` of what was dumped after step k, and the steps that are left, give the same predictions bit by bit
    as the steps without a break. So a step may draw on nothing but the table, the parameters, the state and its number.
    """

    def start(self, table: DatasetRef) -> None:
        """Read the table (`path` is absolute here, and the reader checks the manifest) and stand before step 1."""

    def step(self, number: int) -> Mapping[str, float]:
        """Do step `number` (1 is the first) and return its metrics."""

    def dump(self) -> bytes:
        """The state after the newest step."""

    def load(self, state: bytes) -> None:
        """Take up the state that `dump` gave; called after `start`."""


class GangUnit(Unit, Protocol):
    """A unit that does each step together with the other members of its gang (`UnitSpec.gang`)."""

    def join(self, states: Sequence[bytes]) -> None:
        """Stand before the next step, with what every member of the gang dumped after the step before.

        Called after `start`, instead of `load`, and before every step but the first; also on a unit that did the step
        before itself. The states come in the order of the members' names, this unit's own among them.
        """


def make_unit(factory: str, params: Mapping[str, Any]) -> Unit:
    """Import `package.module:name` and call it with the parameters."""
    unit: Unit = resolve(factory, "unit factory")(**params)
    return unit


def warm_up(module: str) -> None:
    """Import a module of factories in a process that may have to take over, and call its `warm_up()` if it has one.

    There belongs what each process does once, and would do in the first step after a recovery: imports that a library
    puts off, a compiler, a device. It decides nothing; a unit that was not warmed up is the same, later.
    """
    getattr(importlib.import_module(module), "warm_up", lambda: None)()


FORMAT_VERSION = 2
STRICT = {"extra": "forbid"}  # how pydantic reads these classes: a name that nobody knows is refused
MOST_STEPS = 2**31 - 1  # the ledger's column for a step has 32 bits on PostgreSQL


@dataclasses.dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit: the factory that makes it (`package.module:name`), its parameters, and how many steps it takes.

    A worker that is at one step for longer than `step_limit_s`, and than three times the longest step before, is taken
    for hung, however well it beats. The limit decides nothing of the outcome, so it is no part of the key.
    The members of a `gang` do each step together: none begins it before all have committed the one before.
    """

    __pydantic_config__: ClassVar = STRICT
    factory: str
    params: Mapping[str, Any]
    steps: int
    step_limit_s: float = 600.0
    gang: str = ""

    def __post_init__(self) -> None:
        """Refuse with `BadInput` what no worker could do, before a job is submitted for it."""
        if type(self.steps) is not int or not 1 <= self.steps <= MOST_STEPS:
            raise BadInput(
                f"a unit of {self.factory} has steps = {self.steps!r}: give a whole number from 1 to {MOST_STEPS:,}."
            )
        if not self.step_limit_s > 0:
            raise BadInput(f"a unit of {self.factory} has step_limit_s = {self.step_limit_s!r}: give seconds above 0.")

    def facts(self) -> dict[str, Any]:
        """What decides the outcome."""
        facts = {"factory": self.factory, "params": self.params, "steps": self.steps}
        return {**facts, "gang": self.gang} if self.gang else facts


@dataclasses.dataclass(frozen=True, slots=True)
class RunConfig:
    """Where a training works; nothing of it is part of the key. Paths are absolute, and the same on every node.

    `store` is the URL of the checkpoint store, where it is not in the state folder. Of a unit's checkpoints the newest
    `kept` are kept, as far as they are not older than `kept_s`; but the newest three in any case.
    """

    __pydantic_config__: ClassVar = STRICT
    project: str
    state_dir: str
    ledger_url: str
    actors: int = 2
    lease_s: float = 15.0
    store: str = ""
    kept: int = 3
    kept_s: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        """Refuse with `BadInput` a pool that could never do a step."""
        if not self.actors >= 1 or not self.lease_s > 0:
            raise BadInput(
                f"a training cannot work with actors = {self.actors!r} and lease_s = {self.lease_s!r}: give at least "
                "one actor and a lease of more than 0 s."
            )

    @property
    def checkpoints(self) -> Path:
        """The folder of the specifications, and of the checkpoints where `store` names nothing else."""
        return checkpoints_folder(Path(self.state_dir))

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

    __pydantic_config__: ClassVar = STRICT
    key: str
    table: DatasetRef
    units: Mapping[str, UnitSpec]
    place: RunConfig
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse with `BadInput` what cannot be trained, and names that would lead out of the checkpoints' folder."""
        if not self.units:
            raise BadInput(f"the training {self.key[:16]} has no units: give at least one.")
        if not self.threads >= 1:
            raise BadInput(f"the training {self.key[:16]} has threads = {self.threads!r}: give at least one.")
        one_part(self.key[:16], "the training's key")
        for name in self.units:
            parts_below(name, "the unit")

    @property
    def file(self) -> Path:
        """Where this specification is kept once it was submitted."""
        return specification_file(self.place.checkpoints, self.key)

    def to_json(self) -> str:
        """The specification as a JSON document."""
        return json.dumps({"format": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The specification that `to_json` wrote. Raises `BadInput` for any other text, and for another format."""
        from pydantic import TypeAdapter, ValidationError

        try:
            fields = load_json(text)
            if (found := fields.pop("format", None)) not in (1, FORMAT_VERSION):
                raise BadInput(f"the training specification has format {found}, not {FORMAT_VERSION}: submit it again.")
            return TypeAdapter(cls).validate_json(json.dumps(fields), strict=True)
        except ValidationError as error:
            found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise BadInput(f"the training specification does not fit ({found}): submit it again.") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise BadInput(f"the training specification is no JSON object ({error}): submit it again.") from error

    def job_name(self, attempt: int) -> str:
        """The name of an attempt, the same for everybody who submits it."""
        return f"{self.key[:16]}-{attempt}"

    @property
    def factories(self) -> tuple[str, ...]:
        """What a worker imports to be warm: also what a unit is made of, where it is a share of another one."""
        inner = {found["factory"] for unit in self.units.values() if "factory" in (found := _inner(unit))}
        return tuple(sorted({unit.factory for unit in self.units.values()} | inner))


def checkpoints_folder(state_dir: Path) -> Path:
    """Where a state folder has specifications and checkpoints."""
    return state_dir / "checkpoints"


def specification_file(checkpoints: Path, key: str) -> Path:
    """Where the specification of the training with this key is kept."""
    return checkpoints / one_part(key[:16], "the training's key") / "specification.json"


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


def read_specification(path: Path) -> TrainingSpec:
    """The specification in a file. Raises `BadInput` for what is none, or cannot be worked on here.

    The key is the digest of what decides the outcome, so one that was changed by hand must not go on under its key:
    it is compared with what was submitted under it before.
    """
    spec = _read(path)
    if not Path(spec.place.project).is_dir():
        raise BadInput(f"{path} works in {spec.place.project}, which is not on this machine: specify it again here.")
    kept = spec.file
    if kept.exists() and _decides(_read(kept)) != _decides(spec):
        raise BadInput(f"{path} differs from {kept}, which has the same key: take that one, or give yours its own key.")
    return spec


def _read(path: Path) -> TrainingSpec:
    try:
        return TrainingSpec.from_json(path.read_text())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): name a training's specification.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no specification of a training: it is no UTF-8 text ({error}).") from error
    except BadInput as error:
        raise BadInput(f"{path} is no specification of a training: {error}") from error


def _decides(spec: TrainingSpec) -> object:
    return spec.key, spec.table.manifest_sha256, {name: unit.facts() for name, unit in spec.units.items()}, spec.threads
