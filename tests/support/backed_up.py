"""A small project with something of everything that a backup holds, made without a stack."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from koboshi.backup.making import back_up
from koboshi.datasets.pinning import pin
from koboshi.events import Sink, unheard
from koboshi.files import sha256_of
from koboshi.formats import cut
from koboshi.ingest.landing import Lander
from koboshi.journal import Journal
from koboshi.ledger import Ledger, leases, steps
from koboshi.refs import CheckpointRef
from koboshi.settings import Settings, load_settings
from tests.support.memory_stream import MemoryStream

CONFIGURATION = '[ingest]\ntopics = ["t"]\n'
CHECKPOINT = "runrunrunrunrunr/a/0001-abc.v1.ckpt"


def stream() -> MemoryStream:
    """What is landed in the project."""
    stream = MemoryStream()
    stream.make("t", 25, 7)
    return stream


def lander(settings: Settings, source: MemoryStream) -> Lander:
    return Lander(Ledger(settings.ledger_url), source, settings.state_dir, "us", span_records=10)


def filled_project(folder: Path) -> Settings:
    """Landed and pinned spans, a committed step, a registry, a broker's log, a journal."""
    settings = empty_project(folder)
    state, ledger = settings.state_dir, Ledger(settings.ledger_url)
    lander(settings, stream()).land_topic("t")
    pin(ledger, state, ["t"], settings.project / cut.FILE)
    files = {
        f"checkpoints/{CHECKPOINT}": b"state" * 99,
        "kafka/t-0/00000000000000000000.log": b"records" * 999,
        "kafka/meta.properties": b"cluster.id=x\n",
        f"outbox/00000001-runrunrunrunrunr-{'0' * 64}.v1.zip": b"a training" * 9,
        "mlflow/artifacts/1/models/model.skops": bytes(range(256)) * 40,
    }
    for name, data in files.items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(data)
    checkpoint = CheckpointRef("run", "a", 1, CHECKPOINT, sha256_of(state / "checkpoints" / CHECKPOINT))
    steps.commit(ledger, leases.acquire(ledger, "training/run", "us", 0), [(checkpoint, {"loss": 0.5})])
    Journal(state / "journal" / "training.jsonl").record("recovered", unit="a")
    with closing(sqlite3.connect(state / "mlflow" / "mlflow.db")) as registry, registry:
        registry.execute("CREATE TABLE models AS SELECT 'card-fraud' AS name, 1 AS version")
    for name in ("kafka/.lock", "spans/t/0/.part-dead", "logs/kafka.log", "stack/secrets.json", "airflow/airflow.db"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(b"of this machine")
    return settings


def empty_project(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "koboshi.toml").write_text(CONFIGURATION)
    return load_settings(folder, with_stack=False)


def backup_of(settings: Settings, target: Path, *, with_kafka: bool = True, emit: Sink = unheard) -> Path:
    back_up(settings, target, with_kafka=with_kafka, emit=emit)
    return target


def everything(settings: Settings) -> dict[str, object]:
    """What a restore has to bring: bytes of files by name, rows of databases but for leases and versions."""
    state = settings.state_dir
    names = ("spans", "checkpoints", "kafka", "mlflow/artifacts", "journal", "outbox")
    found: dict[str, object] = {
        path.relative_to(state).as_posix(): path.read_bytes()
        for name in names
        for path in sorted((state / name).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    pinned = settings.project / cut.FILE
    found[cut.FILE] = pinned.read_bytes() if pinned.exists() else None
    for name in ("ledger.db", "mlflow/mlflow.db"):
        found[name] = list(_rows(state / name)) if (state / name).exists() else None
    return found


def _rows(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        for line in connection.iterdump():
            if line.startswith("INSERT") and '"leases"' not in line and "koboshi_versions" not in line:
                yield line
