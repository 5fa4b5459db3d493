"""The mechanism's settings: koboshi.toml, over it the environment, under both what the running stack tells of itself.

    KOBOSHI_KAFKA__BOOTSTRAP_SERVERS=broker:9092     the environment: section, two underscores, key
    koboshi.toml                                     [kafka] bootstrap_servers = "broker:9092"
    .koboshi/endpoints.json                          written by `koboshi up` for the parts that it started

Rooms never read this: the command line and the orchestration hand them values. A section that a part of the stack wants
is declared in the part's own file, and found from here by name.
"""

import dataclasses
import functools
import json
import os
import pkgutil
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError, create_model, field_validator
from pydantic_core import PydanticCustomError

from koboshi.documents import merged, readable_toml
from koboshi.environment import PROJECT, read_environment
from koboshi.errors import NotConfigured
from koboshi.files import ignore_state_folder, refusal
from koboshi.names import PART_BYTES
from koboshi.training import RunConfig
from koboshi.wrong_fields import Fields, Source, faults, in_one_sentence

FILE = "koboshi.toml"
ENDPOINTS = "endpoints.json"
SLOT = "champion"
SECTIONS_OF_PARTS = "koboshi.stack.parts:sections"
VARIABLES_OF_PARTS = "koboshi.stack.parts:variables"


class Section(Fields):
    """A table of koboshi.toml: no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=Section)
M = TypeVar("M", bound=Fields)


class Kafka(Section):
    """Where the stream comes from."""

    bootstrap_servers: str | None = None


class Ray(Section):
    """Where training runs: the GCS (`host:port`) for drivers, the jobs API for submissions."""

    address: str | None = None
    jobs_url: str | None = None
    token_path: Path | None = None


class Mlflow(Section):
    """The tracking server and registry."""

    tracking_uri: str | None = None


class Airflow(Section):
    """The REST interface; the password is in a file {"username": "password"}, readable by its owner only."""

    base_url: str | None = None
    username: str = "admin"
    passwords_path: Path | None = None


class Gateway(Section):
    """The balanced endpoint."""

    url: str | None = None


class Ingest(Section):
    """What is landed and how: a span is at most `span_records` long; a lander's lease lasts `lease_s`."""

    topics: tuple[str, ...] = ()
    span_records: int = Field(default=100_000, ge=1, le=1_000_000_000)
    lease_s: float = Field(default=30.0, gt=0, allow_inf_nan=False)


class Training(Section):
    """The pool: how many actors work, and how long a driver's lease lasts without a sign of life.

    `checkpoints` is a folder (relative to the project) or a URL (`s3://bucket/prefix`); empty: in the state folder. Of
    a unit's checkpoints the newest `checkpoints_kept` stay, unless older than `checkpoints_age_s`; three always do.
    """

    actors: int = Field(default=2, ge=1)
    lease_s: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    checkpoints: str = ""
    checkpoints_kept: int = Field(default=3, ge=3)
    checkpoints_age_s: float = Field(default=30 * 86_400.0, gt=0, allow_inf_nan=False)


class Pipeline(Section):
    """The module in which the project declares its stages, and its DAGs, in the order in which each starts the next."""

    module: str = ""
    dags: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The module, which a verb of the project cannot do without."""
        if not self.module:
            raise NotConfigured(f'{FILE} names no module of the project: set [pipeline] module = "…" in it.')
        return self.module


class Serving(Section):
    """What is served: the registered model's name, and the slot (an alias of the model) that replicas follow."""

    model: str = "koboshi"
    slot: str = Field(default=SLOT, min_length=1)


class Scoring(Section):
    """Batch scoring: a script in the place of `python -m koboshi.training.job`."""

    job: Path | None = None


class Drills(Section):
    """What drills work on, and the project's own drills: `modules`, each with a `DRILL`.

    `workload` and `stream` (`package.module:name`) take the place of what the project declares, `job` is a script in
    the place of `python -m koboshi.training.job`.
    """

    workload: str | None = None
    stream: str | None = None
    job: Path | None = None
    modules: tuple[str, ...] = ()


class Stack(Section):
    """The local stack: the first port of its block."""

    base_port: int = Field(default=24_000, ge=1024, le=60_000)


class Known(Fields):
    """All settings, as they are written: none stands in koboshi.toml that is not here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state_dir: Path = Path(".koboshi")
    ledger_url: str = ""
    commands: dict[str, str] = Field(default_factory=dict)
    kafka: Kafka = Kafka()
    ray: Ray = Ray()
    mlflow: Mlflow = Mlflow()
    airflow: Airflow = Airflow()
    gateway: Gateway = Gateway()
    ingest: Ingest = Ingest()
    training: Training = Training()
    pipeline: Pipeline = Pipeline()
    serving: Serving = Serving()
    scoring: Scoring = Scoring()
    drills: Drills = Drills()
    stack: Stack = Stack()

    @field_validator("state_dir")
    @classmethod
    def _can_be_a_path(cls, value: Path) -> Path:
        if any(len(os.fsencode(part)) > PART_BYTES for part in value.parts):
            raise PydanticCustomError("too_long", f"Input should be a path of names of at most {PART_BYTES} bytes")
        return value


class Settings(Known):
    """All settings, frozen; `project` is the folder of koboshi.toml."""

    project: Path

    def model_post_init(self, _context: Any) -> None:
        """Make the state folder absolute, and put the ledger into it unless it is elsewhere."""
        object.__setattr__(self, "state_dir", (self.project / self.state_dir).resolve())
        object.__setattr__(self, "ledger_url", self.ledger_url or f"sqlite:///{self.state_dir / 'ledger.db'}")

    @property
    def checkpoint_store(self) -> str:
        """`training.checkpoints`, a folder made absolute; empty if it is to be in the state folder."""
        found = self.training.checkpoints
        return str((self.project / found).resolve()) if found and "://" not in found else found

    @property
    def run_config(self) -> RunConfig:
        """Where this project's jobs on Ray work, for the room that trains."""
        return RunConfig(
            project=str(self.project),
            state_dir=str(self.state_dir),
            ledger_url=self.ledger_url,
            actors=self.training.actors,
            lease_s=self.training.lease_s,
            store=self.checkpoint_store,
            kept=self.training.checkpoints_kept,
            kept_s=self.training.checkpoints_age_s,
        )

    def script(self, job: Path | None) -> Path | None:
        """A job's script as an absolute path, where one is set."""
        return None if job is None else self.project / job

    def of(self, section: type[S]) -> S:
        """A section that a part declares, by its class."""
        return next((value for _, value in self if isinstance(value, section)), section())


@functools.cache
def with_parts(model: type[M]) -> type[M]:
    """`Known` or `Settings`, with the sections that parts declare."""
    sections: dict[str, Any] = {name: (one, one()) for name, one in pkgutil.resolve_name(SECTIONS_OF_PARTS)().items()}
    return create_model(model.__name__, __base__=model, **sections) if sections else model


def load_settings(project: Path | None = None, *, with_stack: bool = True) -> Settings:
    """Read all sources. `with_stack=False` leaves out what the local stack wrote: so one sees what is set by hand.

    Raises `NotConfigured` with one sentence that names each setting that does not fit.
    """
    settings, wrong = _load(project or find_project(), lambda _project: None, with_stack=with_stack)
    if wrong:
        raise NotConfigured(in_one_sentence(wrong))
    return settings


def load_what_fits(
    warn: Callable[[str], None],
    find_state_dir: Callable[[Path], Path | None] = lambda _project: None,
    *,
    project: Path | None = None,
    with_stack: bool = True,
) -> Settings:
    """`load_settings` for the verbs that have to work whatever a person has written, such as `koboshi down`.

    What does not fit is left out, as if it were not set, and `warn` hears of all of it in one sentence. Where
    koboshi.toml cannot say which state folder is meant, or is gone, `find_state_dir` is asked for that of the project's
    stack.
    """
    folder = project or _project_or_that_of_a_stack(find_state_dir)
    settings, wrong = _load(folder, find_state_dir, with_stack=with_stack)
    if not (folder / FILE).is_file():
        wrong = [f"there is no {FILE} in {folder}", *wrong]
    if wrong:
        warn(f"{in_one_sentence(wrong)} What does not fit is left out here.")
    return settings


def _load(
    folder: Path, find_state_dir: Callable[[Path], Path | None], *, with_stack: bool
) -> tuple[Settings, list[str]]:
    """The settings as far as they fit, and a sentence for each that does not."""
    environment, unknown = read_environment(os.environ, with_parts(Known), pkgutil.resolve_name(VARIABLES_OF_PARTS)())
    toml, broken = _read(folder / FILE, FILE, tomllib.loads, readable_toml)
    fitting, misfits = _fitting([environment, toml])
    state_dir = None
    if "state_dir" not in fitting and (broken or "state_dir" in toml.values or not (folder / FILE).is_file()):
        state_dir = find_state_dir(folder)
    settings = _settings(folder, fitting, state_dir)
    if with_stack:
        endpoints, unread = _read(settings.state_dir / ENDPOINTS, ENDPOINTS, json.loads, lambda _text: {})
        fitting, misfits = _fitting([environment, toml, endpoints])
        settings = _settings(folder, fitting, settings.state_dir)
        misfits = [*unread, *misfits]
    ignore_state_folder(settings.state_dir)
    return settings, [*broken, *unknown, *(() if broken else misfits)]


def _read(
    path: Path, name: str, parse: Callable[[str], Any], salvage: Callable[[str], dict[str, Any]]
) -> tuple[Source, list[str]]:
    """A document that is there or not; of one that is broken what can still be read, and what is wrong with it."""
    try:
        text = path.read_bytes().decode()  # as it is: `read_text` takes a lone carriage return, which TOML refuses
    except FileNotFoundError:
        return Source(name, {}), []
    except (OSError, UnicodeDecodeError) as error:
        refused = [str(refusal(path)).rstrip(".")] if isinstance(error, PermissionError) else []
        return Source(name, {}), refused or [f"{path} cannot be read: {_reason(error)}"]
    try:
        values = parse(text)
    except (ValueError, RecursionError) as error:
        return Source(name, salvage(text)), [f"{path} cannot be read: {_reason(error)}"]
    return (Source(name, values), []) if isinstance(values, dict) else (Source(name, {}), [f"{path} is no object"])


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")


def _fitting(sources: Sequence[Source]) -> tuple[dict[str, Any], list[str]]:
    """What fits of the sources, merged, those of higher precedence first; and a sentence for each value that does not.

    Where a value of the environment does not fit, that of koboshi.toml counts again.
    """
    left = [dataclasses.replace(source, values=merged({}, source.values)) for source in sources]
    found: list[str] = []
    while True:
        values = functools.reduce(merged, [source.values for source in reversed(left)], dict[str, Any]())
        try:
            with_parts(Known).model_validate(values)
        except ValidationError as error:
            found += faults(with_parts(Known), error.errors(), left)
            for place in {_place(values, fault["loc"]) for fault in error.errors()}:
                _take_away(left, *place)
        else:
            return values, found


def _place(values: Mapping[str, Any], location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The setting that holds a location: an item of a list or a table is part of it."""
    depth = 2 if isinstance(values.get(str(location[0])), Mapping) else 1
    return tuple(map(str, location[:depth]))


def _take_away(sources: Iterable[Source], section: str, *names: str) -> None:
    """Take a wrong value, of a name in a section or a whole section, from the source from which it counts."""
    for source in sources:
        holder = source.values.get(section) if names else source.values
        if isinstance(holder, dict) and (*names, section)[0] in holder:
            del holder[(*names, section)[0]]
            return


def _settings(project: Path, fitting: Mapping[str, Any], state_dir: Path | None) -> Settings:
    given = {**fitting, "project": project, **({} if state_dir is None else {"state_dir": state_dir})}
    try:
        settings: Settings = with_parts(Settings).model_validate(given)
        return settings
    except (OSError, RuntimeError) as error:  # a path that leads in a circle
        raise NotConfigured(f"a folder that {FILE} names cannot be found ({error}): look at state_dir.") from error


def find_project() -> Path:
    """The folder of koboshi.toml: `KOBOSHI_PROJECT`, else this folder or the nearest one above it."""
    here = Path(os.environ.get(PROJECT) or ".").resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder
    raise NotConfigured(f"no {FILE} in {here} or above it: change to a koboshi project or set {PROJECT}.")


def _project_or_that_of_a_stack(find_state_dir: Callable[[Path], Path | None]) -> Path:
    try:
        return find_project()
    except NotConfigured:
        here = Path(os.environ.get(PROJECT) or ".").resolve()
        for folder in (here, *here.parents):
            if find_state_dir(folder) is not None:
                return folder
        raise


def required(value: str | None, part: str) -> str:
    """An address that a command cannot do without."""
    if value is None:
        raise NotConfigured(f"{part} has no address: start the stack with `koboshi up`, or set it in {FILE}.")
    return value
