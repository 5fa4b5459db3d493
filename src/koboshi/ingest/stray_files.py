"""Span files and rows that do not fit: a ledger that was lost beside its files, and files that no row names.

A span's plan is a row before its first byte is read. So where a partition has a file and no row at all, the rows were
lost, or the ledger is another one: landing would read everything a second time, and sweep the files that can be rebuilt
from. That is refused before anything is planned, landed, compared or swept. A file beside rows that no row names is an
orphan: a killed or fenced lander left it.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from koboshi.errors import Conflict
from koboshi.files import make_state_folder, naming_disk_failures
from koboshi.formats.span_files import FOLDER, landed_files, partition_folder
from koboshi.ledger import Ledger, spans


def open_ledger(url: str, state_dir: Path, topics: Iterable[str] | None = None) -> Ledger:
    """The ledger of a state folder, made if nothing was landed yet. Raises `Conflict` where it was lost.

    A lost ledger is seen before a new one is begun in its place. `topics` are those that the ledger is for (None: all):
    a drill has a ledger of its own beside the landed spans of others.
    """
    if _is_absent(url):
        _refuse_files(state_dir, url, topics)
    with naming_disk_failures(state_dir):
        make_state_folder(state_dir)
    ledger = Ledger(url)
    if not spans.topics(ledger):
        _refuse_files(state_dir, url, topics)
    return ledger


def check_known(ledger: Ledger, state_dir: Path, topic: str, partition: int) -> None:
    """Raise `Conflict` where a partition has span files, and the ledger has never planned one."""
    folder = state_dir / partition_folder(topic, partition)
    if next(landed_files(folder), None) is not None and not spans.knows_partition(ledger, topic, partition):
        raise _lost(folder, str(ledger.url))


def _refuse_files(state_dir: Path, url: str, topics: Iterable[str] | None) -> None:
    chosen = None if topics is None else set(topics)
    for folder in (state_dir / FOLDER).glob("*/*"):
        if (chosen is None or folder.parent.name in chosen) and next(landed_files(folder), None) is not None:
            raise _lost(folder, sa.make_url(url).render_as_string())


def _lost(folder: Path, url: str) -> Conflict:
    return Conflict(
        f"{folder} has landed spans that the ledger {url} does not know: it was lost, or is another one; restore a "
        "backup, or run `koboshi ledger rebuild`, which makes its rows again from the span files."
    )


def _is_absent(url: str) -> bool:
    """Whether it is a file that is not there, or has no byte."""
    file = Path(url.removeprefix("sqlite:///"))
    return url.startswith("sqlite:///") and not (file.is_file() and file.stat().st_size)


GRACE_S = 3_600.0


def sweep(ledger: Ledger, state_dir: Path, topic: str, partition: int, grace_s: float = GRACE_S) -> list[Path]:
    """Remove files of a partition's folder that no row names and nobody has touched for `grace_s`.

    Call it under the partition's lease. A slower lander may still be writing its file: it is fenced, so the file can
    never count, and the grace time only spares it an error.
    """
    folder, before = state_dir / partition_folder(topic, partition), time.time() - grace_s
    if not (old := [path for path in sorted(folder.glob("*")) if path.stat().st_mtime < before]):
        return []
    named = spans.paths(ledger, topic, partition)
    orphans = [path for path in old if path.relative_to(state_dir).as_posix() not in named]
    with naming_disk_failures(folder):
        for path in orphans:
            path.unlink(missing_ok=True)
    return orphans
