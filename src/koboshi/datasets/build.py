"""A dataset appears whole or not at all, and is opened only when all of its bytes are as they were made."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from koboshi.datasets.dvc_cache import source_of
from koboshi.errors import LeaseTaken
from koboshi.files import TEMPORARY_PREFIX
from koboshi.formats import manifest
from koboshi.formats.manifest import Dataset, seal


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well, seal it and put it in the place of `folder`.

    The manifest is the last file written, the rename of the folder is the only commit. Under a crash: the dataset that
    was there, or none; what was half built is swept by the next run. A stage orphaned by a kill may still be at work:
    then `LeaseTaken` is raised, because the lock (which the kernel gives back when its holder dies) is its own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _held(folder.parent / f".{folder.name}.lock", folder):
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


def open_verified(folder: Path) -> Dataset:
    """Open a dataset, all of whose bytes are checked first.

    DVC trusts its cache: a byte that flipped there comes back with a checkout, unnoticed. Raises `BadInput` where there
    is no dataset, `Corrupt` when a file is changed, missing or not in the manifest: it names the file, the object in
    DVC's cache if that is the source, and the command that repairs.
    """
    return manifest.open_verified(folder, source_of)


def _held(path: Path, folder: Path) -> AbstractContextManager[FileLock]:
    try:
        return FileLock(path).acquire(blocking=False)
    except Timeout as error:
        raise LeaseTaken(f"{folder} is being built by another process: wait until it ends, or end it.") from error


def _sweep(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
