"""What belongs to a backup, and where it is on this machine. Secrets, logs and Airflow's history do not."""

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.datasets import dvc_cache
from koboshi.documents import load_mapping
from koboshi.errors import BadInput, NotConfigured
from koboshi.files import TEMPORARY_PREFIX
from koboshi.names import parts_below
from koboshi.orchestration.dvc_stage import cache_of
from koboshi.settings import Settings

PROJECT = "project"  # where the archive has the project's own files
CARRIED = ("cut.json", dvc_cache.LOCK)
KAFKA, MLFLOW, CACHE, LEDGER = "state/kafka", "state/mlflow", "dvc-cache", "state/ledger.db"
SPANS = "state/spans"
_IGNORED = (".lock",)  # Kafka's, against a second broker


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A folder, or a SQLite database, of a backup: `name` in the archive, `path` on this machine."""

    name: str
    path: Path
    is_database: bool = False

    def holds(self, name: str) -> bool:
        """Whether a name in the archive is this piece, or in it."""
        return name == self.name or (not self.is_database and name.startswith(f"{self.name}/"))


def pieces(settings: Settings) -> tuple[Piece, ...]:
    """Everything, in the order in which it is put into place: the ledger last, because it says what counts."""
    state = settings.state_dir
    found = [
        Piece(KAFKA, state / "kafka"),
        Piece(f"{MLFLOW}/artifacts", state / "mlflow" / "artifacts"),
        Piece(f"{MLFLOW}/mlflow.db", state / "mlflow" / "mlflow.db", is_database=True),
        Piece("state/journal", state / "journal"),
        Piece("state/outbox", state / "outbox"),
        Piece("state/checkpoints", state / "checkpoints"),
        Piece(SPANS, state / "spans"),
    ]
    if (settings.project / ".dvc").is_dir():
        found.append(Piece(CACHE, cache_of(settings.project)))
    if settings.ledger_url.startswith("sqlite:///"):  # a server has tools of its own
        found.append(Piece(LEDGER, Path(settings.ledger_url.removeprefix("sqlite:///")), is_database=True))
    return tuple(found)


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder, but those that somebody is just writing."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _IGNORED and not path.name.startswith(TEMPORARY_PREFIX):
            yield path


def check_room(folder: Path, needed_bytes: int, remedy: str) -> None:
    """Raise `NotConfigured` where a folder's disk has less room than a backup, or what is in it, may take."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise NotConfigured(
            f"the backup may take {needed_bytes / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}: {remedy}."
        )


def carried_names(project: Path) -> list[str]:
    """The project's files that say what the data is, and change with it: cut, lock, and outputs that git keeps."""
    stages = load_mapping(project / "dvc.yaml").get("stages", {}).values()
    outputs = (output for stage in stages for key in ("outs", "metrics", "plots") for output in stage.get(key, ()))
    return [*CARRIED, *(name for output in outputs if isinstance(output, dict) for name in _uncached(output))]


def _uncached(output: Mapping[str, Any]) -> list[str]:
    names = (name for name, options in output.items() if options and options.get("cache") is False)
    return [parts_below(name, "in dvc.yaml the output") for name in names]


def is_cached(project: Path, output: dvc_cache.Output) -> bool:
    """Whether DVC's cache has an output."""
    return (cache_of(project) / "files" / "md5" / output.md5[:2] / output.md5[2:]).exists()


def is_safe(name: str) -> bool:
    """Whether a name from an archive stays below the folder that it is unpacked into."""
    try:
        return parts_below(name, "the entry") == name
    except BadInput:
        return False


def commit_of(project: Path) -> str | None:
    """The commit that is checked out; None where there is no git."""
    return _git(project, "rev-parse", "HEAD")


def changed_files(project: Path, names: Sequence[str] = ()) -> list[str] | None:
    """Tracked files, or some names, that are not as committed; None where there is no git."""
    untracked = "--untracked-files=all" if names else "--untracked-files=no"
    found = _git(project, "status", "--porcelain", untracked, "--", *names)
    return None if found is None else [line[3:] for line in found.splitlines()]


def _git(project: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip()
