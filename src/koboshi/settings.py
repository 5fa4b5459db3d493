"""The mechanism's settings: koboshi.toml, over it the environment, under both what the running stack tells of itself.

    KOBOSHI_KAFKA__BOOTSTRAP_SERVERS=broker:9092     the environment: section, two underscores, key
    koboshi.toml                                     [kafka] bootstrap_servers = "broker:9092"
    .koboshi/endpoints.json                          written by `koboshi up` for the parts that it started

Rooms never read this: the command line and the orchestration hand them values.
"""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from koboshi.errors import NotConfigured
from koboshi.training import Workplace

FILE = "koboshi.toml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(_Section):
    """Where the stream comes from."""

    bootstrap_servers: str | None = None


class Ray(_Section):
    """Where training runs: the GCS (`host:port`) for drivers, the jobs API for submissions."""

    address: str | None = None
    jobs_url: str | None = None
    token_path: Path | None = None


class Mlflow(_Section):
    """The tracking server and registry."""

    tracking_uri: str | None = None


class Airflow(_Section):
    """The REST interface; the password is in a file {"username": "password"}, readable by its owner only."""

    base_url: str | None = None
    username: str = "admin"
    passwords_path: Path | None = None


class Gateway(_Section):
    """The balanced endpoint."""

    url: str | None = None


class Ingest(_Section):
    """What is landed and how: a span is at most `span_records` long; a lander's lease lasts `lease_s`."""

    topics: tuple[str, ...] = ()
    span_records: int = Field(default=100_000, ge=1)
    lease_s: float = Field(default=30.0, gt=0)


class Training(_Section):
    """The pool: how many actors work, and how long a driver's lease lasts without a sign of life.

    `checkpoints` is a folder (relative to the project) or a URL (`s3://bucket/prefix`); empty: in the state folder. Of
    a unit's checkpoints the newest `checkpoints_kept` stay, unless older than `checkpoints_age_s`; three always do.
    """

    actors: int = Field(default=2, ge=1)
    lease_s: float = Field(default=15.0, gt=0)
    checkpoints: str = ""
    checkpoints_kept: int = Field(default=3, ge=3)
    checkpoints_age_s: float = Field(default=30 * 86_400.0, gt=0)


class Serving(_Section):
    """What is served: the registered model's name."""

    model: str = "koboshi"


class Scoring(_Section):
    """Batch scoring: the script of its job."""

    job: Path = Path("ray_jobs/score_batch.py")


class Drills(_Section):
    """What drills work on: the project's workload and stream (`package.module:name`), the script of a training job."""

    workload: str | None = None
    stream: str | None = None
    job: Path = Path("ray_jobs/train.py")


class Stack(_Section):
    """The local stack: the first port of its block."""

    base_port: int = Field(default=24_000, ge=1024, le=60_000)


class Settings(BaseSettings):
    """All settings, frozen; `project` is the folder of koboshi.toml."""

    model_config = SettingsConfigDict(env_prefix="KOBOSHI_", env_nested_delimiter="__", frozen=True, extra="forbid")

    project: Path
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
    serving: Serving = Serving()
    scoring: Scoring = Scoring()
    drills: Drills = Drills()
    stack: Stack = Stack()

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
    def workplace(self) -> Workplace:
        """Where this project's jobs on Ray work, for the room that trains."""
        return Workplace(
            project=str(self.project),
            state_dir=str(self.state_dir),
            ledger_url=self.ledger_url,
            actors=self.training.actors,
            lease_s=self.training.lease_s,
            store=self.checkpoint_store,
            kept=self.training.checkpoints_kept,
            kept_s=self.training.checkpoints_age_s,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First the environment, then koboshi.toml, then the endpoints handed in by `load_settings`."""
        given = dict(init_settings())
        endpoints = given.pop("endpoints", {})
        toml = TomlConfigSettingsSource(settings_cls, Path(given["project"]) / FILE)
        return (
            InitSettingsSource(settings_cls, given),
            env_settings,
            toml,
            InitSettingsSource(settings_cls, endpoints),
        )


def load_settings(project: Path | None = None, *, with_stack: bool = True) -> Settings:
    """Read all sources. `with_stack=False` leaves out what the local stack wrote: so one sees what is set by hand.

    Raises `NotConfigured` with one sentence that names the key.
    """
    folder = project or find_project()
    try:
        settings = Settings(project=folder)
        if not with_stack:
            return settings
        endpoints = settings.state_dir / "endpoints.json"
        if not endpoints.is_file():
            return settings
        return Settings(project=folder, endpoints=json.loads(endpoints.read_text()))  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise NotConfigured(f"setting {key}: {first['msg']} (in {FILE} or the environment).") from error
    except ValueError as error:
        raise NotConfigured(f"{folder / FILE} cannot be read: {error}.") from error


def find_project() -> Path:
    """The folder of koboshi.toml: `KOBOSHI_PROJECT`, else this folder or the nearest one above it."""
    named = os.environ.get("KOBOSHI_PROJECT")
    here = Path(named or ".").resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder
    raise NotConfigured(f"no {FILE} in {here} or above it: change to a koboshi project or set KOBOSHI_PROJECT.")


def required(value: str | None, part: str) -> str:
    """An address that a command cannot do without."""
    if value is None:
        raise NotConfigured(f"{part} has no address: start the stack with `koboshi up`, or set it in {FILE}.")
    return value
