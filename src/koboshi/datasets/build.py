"""Building a dataset beside its place, so that it appears whole or not at all."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from koboshi.datasets.manifest import seal
from koboshi.errors import LeaseTaken
from koboshi.files import TEMPORARY_PREFIX


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well, seal it and put it in the place of `folder`.

    The manifest is the last file written, the rename of the folder is the only commit. Under a crash: the dataset that
    was there, or none; what was half built is swept by the next run. A stage orphaned by a kill may still be at work:
    then `LeaseTaken` is raised, because the lock (which the kernel gives back when its holder dies) is its own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        _take(lock.fileno(), folder)
        fresh, outgoing = (folder.parent / f"{TEMPORARY_PREFIX}{folder.name}-{word}" for word in ("new", "old"))
        _sweep(fresh, outgoing)
        fresh.mkdir()
        try:
            yield fresh
            seal(fresh)
            if folder.exists():
                folder.rename(outgoing)
            fresh.rename(folder)
        finally:
            _sweep(fresh, outgoing)


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LeaseTaken(f"{folder} is being built by another process: wait until it ends, or end it.") from error


def _sweep(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
