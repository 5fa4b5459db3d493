"""`koboshi backup`: what belongs to one, and where it is on this machine; databases first, then the files they name.

Those files never change. Secrets, logs and Airflow's history do not belong to a backup.
"""

import dataclasses
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from koboshi.backup.pyarrow_archive import Entry, write_archive
from koboshi.datasets import dvc_cache
from koboshi.documents import load_mapping
from koboshi.errors import BadInput, Conflict, Corrupt, NotConfigured
from koboshi.events import BackupBegan, BackupLacks, BytesCopied, Sink
from koboshi.files import TEMPORARY_PREFIX, Published, naming_disk_failures, publish
from koboshi.ingest.stray_files import open_ledger
from koboshi.ledger import Ledger, spans
from koboshi.names import parts_below
from koboshi.orchestration.dvc_stage import cache_of
from koboshi.settings import Settings
from koboshi.stack.lifecycle import exclusively
from koboshi.stack.parts import external_groups
from koboshi.stack.paths import find_paths, make_own
from koboshi.stack.process_table import find_leftovers

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


def back_up(settings: Settings, target: Path, *, with_kafka: bool, emit: Sink) -> Published:
    """Write everything that `pieces` names into one new file, which appears whole or not at all.

    `settings` are those set by hand: what has an address there is not ours to copy. The ledger is copied before the
    files that it names, so whatever goes on meanwhile, the backup holds all that its ledger says; every landed span is
    compared with its row. Kafka's log is consistent only at rest: with it the stack has to be down (`Conflict`).
    """
    _check_target(target)
    with naming_disk_failures(settings.state_dir):
        return _back_up(settings, target, emit, with_kafka=with_kafka)


def _back_up(settings: Settings, target: Path, emit: Sink, *, with_kafka: bool) -> Published:
    paths = find_paths(settings.project, settings.state_dir)
    chosen = _chosen(settings, emit, with_kafka=with_kafka)
    make_own(paths)
    with exclusively(paths):
        if SPANS in {piece.name for piece in chosen} and LEDGER in {piece.name for piece in pieces(settings)}:
            open_ledger(settings.ledger_url, settings.state_dir).close()  # a lost one would be found out too late
        if KAFKA in {piece.name for piece in chosen} and find_leftovers(paths):
            raise Conflict(
                "the stack is up, and Kafka's log can be copied only at rest: run `koboshi down` first, "
                "or leave the log out with --without-kafka."
            )
        with _copies(settings, chosen) as (copies, entries):
            entries += [
                _entry(f"{piece.name}/{path.relative_to(piece.path).as_posix()}", path)
                for piece in chosen
                if not piece.is_database
                for path in files_below(piece.path)
            ]
            total = sum(entry.size for entry in entries)
            check_room(target.parent, total, "make room, or name a file on another disk")  # if nothing compresses
            emit(BackupBegan(files=len(entries), size_mb=total / 1e6))
            return publish(
                target.parent,
                target.name,
                lambda path: _write(path, settings, chosen, entries, copies, emit),
            )


def _check_target(target: Path) -> None:
    if target.exists():
        raise BadInput(f"{target} is there already: choose another name.")
    if not target.parent.is_dir():
        raise BadInput(f"there is no folder {target.parent}: make it, or choose another name.")


def _chosen(settings: Settings, emit: Sink, *, with_kafka: bool) -> list[Piece]:
    """The pieces that are here, and a word on those that are not."""
    external = external_groups(settings)
    elsewhere = {group: name for group, name in (("kafka", KAFKA), ("mlflow", MLFLOW)) if group in external}
    for group in elsewhere:
        emit(BackupLacks(part=group, reason="it runs elsewhere"))
    here = pieces(settings)
    if not any(piece.name == LEDGER for piece in here):
        emit(BackupLacks(part="the ledger", reason="it is on a server: use the server's own tools"))
    left_out = tuple(elsewhere.values()) + (() if with_kafka else (KAFKA,))
    found = [piece for piece in here if piece.path.exists() and not piece.name.startswith(left_out)]
    if not found:
        raise BadInput(f"there is nothing to back up in {settings.state_dir}: land something first.")
    return found


@contextmanager
def _copies(settings: Settings, chosen: Sequence[Piece]) -> Iterator[tuple[Path, list[Entry]]]:
    """A folder with copies of what is small and changes: cut and lock first, then ledger and MLflow's database."""
    folder = settings.state_dir / f"{TEMPORARY_PREFIX}backup"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name in filter(lambda name: (settings.project / name).is_file(), carried_names(settings.project)):
            copy = folder / PROJECT / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(settings.project / name, copy)
        for piece in sorted((piece for piece in chosen if piece.is_database), key=lambda piece: piece.name):
            copy_database(piece.path, folder / piece.name)
        yield folder, [_entry(path.relative_to(folder).as_posix(), path) for path in files_below(folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _entry(name: str, path: Path) -> Entry:
    try:
        return Entry(name, path, path.stat().st_size)
    except FileNotFoundError:
        return Entry(name, path, 0)


def _write(
    path: Path, settings: Settings, chosen: Sequence[Piece], entries: list[Entry], copies: Path, emit: Sink
) -> None:
    commit, changed = commit_of(settings.project), changed_files(settings.project)
    carried = {entry.name.removeprefix(f"{PROJECT}/") for entry in entries if entry.name.startswith(f"{PROJECT}/")}
    if missing := sorted(set(changed or ()) - carried):
        emit(BackupLacks(part=", ".join(missing), reason="git has them or ought to"))
    header = {
        "koboshi": version("koboshi"),
        "made_at": time.time(),
        "commit": commit,
        "pieces": [piece.name for piece in chosen],
        "bytes": sum(entry.size for entry in entries),
        "cache_bytes": sum(entry.size for entry in entries if entry.name.startswith(f"{CACHE}/")),
    }
    digests = write_archive(path, header, entries, lambda count: emit(BytesCopied(count=count)))
    _check_spans(copies / LEDGER, digests)


def _check_spans(ledger_copy: Path, digests: dict[str, str]) -> None:
    """A backup of a span that is not as committed would be found useless too late."""
    if not ledger_copy.exists():
        return
    with closing(Ledger(f"sqlite:///{ledger_copy}")) as ledger:
        landed = [span for topic in spans.topics(ledger) for span in spans.committed(ledger, topic)]
    for span in landed:
        if digests.get(f"state/{span.path}") != span.sha256:
            raise Corrupt(
                f"the landed span {span.path} is not as committed: run `koboshi ingest repair`, then back up."
            )


def copy_database(source: Path, target: Path) -> None:
    """Copy the state after some committed transaction, by SQLite's online backup; raises `Corrupt` if it is damaged."""
    target.parent.mkdir(parents=True, exist_ok=True)
    live = sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)
    with closing(live), closing(sqlite3.connect(target)) as copy:
        try:
            live.backup(copy)
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise Corrupt(f"the database {source} is damaged ({found}): mend it or restore an earlier backup.")
