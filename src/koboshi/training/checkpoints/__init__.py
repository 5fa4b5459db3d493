"""Checkpoints: what a committed state is called, where it is kept, whether it is still what it was.

They are kept in a local folder, or in any storage that fsspec reaches, chosen by its URL. A file's name carries step,
digest and format, so whoever writes a step's file a second time writes the same bytes, and no two writers need to know
of each other. What counts is decided by the ledger, never by what is listed here.

file_store.py    a local folder, or one that all nodes have mounted
fsspec_store.py  any storage that fsspec reaches
writer.py        takes a unit's states to the store, one at a time
retention.py     which files may go
"""

import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from koboshi.errors import BadInput, Corrupt
from koboshi.names import one_part, parts_below
from koboshi.refs import CheckpointRef

FORMAT_VERSION = 1  # of a checkpoint: the unit's own state, byte by byte
REPAIR = "run the training again, it goes on from the step before"


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A file that is durable under its final name; `path` is relative to the store."""

    path: str
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is there, and when it was last written (seconds since 1970, by the storage's clock)."""

    path: str
    modified_at: float


class CheckpointStore(Protocol):
    """Where checkpoints are kept. Paths are relative to the store, with `/` between their parts.

    Each method raises `Transient` when the storage is full, fails or does not answer, and `NotConfigured` when it
    refuses us or is not there at all.
    """

    def write(self, folder: str, name: Callable[[str], str], data: bytes) -> Written:
        """Keep `data` as `folder/name(sha256)`.

        Under a crash: the file is there with all its bytes, or nothing that counts is. A file that has the name and
        other bytes is kept beside it, under a name that ends in `.bad-<digest>`: no bytes are lost by writing.
        """

    def read(self, path: str, sha256: str) -> bytes:
        """The bytes of a file, checked; raises `Corrupt` when they are not those, or missing. Changes nothing."""

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""

    def listed(self, folder: str) -> Sequence[StoredFile]:
        """All files below a folder, also those that are only half written."""


@functools.cache
def store_at(url: str) -> CheckpointStore:
    """The store of a URL (`s3://bucket/prefix`, `memory://x`, …) or a folder; raises `NotConfigured` for neither.

    A scheme that has a module `<scheme>_store` here is opened by that, any other by fsspec. So a new store is one file,
    whose `open_store` gets the URL; and nobody waits for the imports of a store that is not used.
    """
    scheme = url.partition("://")[0] if "://" in url else "file"
    own = f"{__name__}.{scheme}_store"
    known = scheme.isidentifier() and importlib.util.find_spec(own) is not None
    store: CheckpointStore = importlib.import_module(own if known else f"{__name__}.fsspec_store").open_store(url)
    return store


def run_folder(run_key: str, unit: str = "") -> str:
    """Where a run keeps its checkpoints in the store, or one of its units."""
    folder = one_part(run_key[:16], "the training's key")
    return f"{folder}/{parts_below(unit, 'the unit')}" if unit else folder


def write_checkpoint(store: str, run_key: str, unit: str, step: int, state: bytes) -> CheckpointRef:
    """Keep the state after a step. The file's name carries step, digest and format.

    Two writers of one step write the same bytes. Under a crash: see `CheckpointStore.write`; nothing counts before the
    driver's commit.
    """
    name = f"{step:04d}-{{:.16}}.v{FORMAT_VERSION}.ckpt"
    written = store_at(store).write(run_folder(run_key, unit), name.format, state)
    return CheckpointRef(run_key, unit, step, written.path, written.sha256)


def read_checkpoint(store: Path | str, checkpoint: CheckpointRef) -> bytes:
    """The bytes of a checkpoint, checked; raises `Corrupt`, and `BadInput` for a newer format."""
    if (version := format_version(checkpoint.path)) > FORMAT_VERSION:
        path = f"{store}/{checkpoint.path}"
        raise BadInput(f"checkpoint {path} has format {version}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
    return store_at(str(store)).read(checkpoint.path, checkpoint.sha256)


def format_version(path: str) -> int:
    """The format that a checkpoint's name tells; the first names told none."""
    found = re.search(r"\.v(\d+)\.ckpt$", path)
    return int(found[1]) if found else 1


def verify_state(store: str, checkpoint: CheckpointRef) -> None:
    """Raise `Corrupt` unless the state is there as it was committed."""
    if not checkpoint.path:
        raise Corrupt(f"the state after step {checkpoint.step} was not kept, and none after it can be used.")
    read_checkpoint(store, checkpoint)


def checked(data: bytes | None, sha256: str, where: str) -> bytes:
    """`data`, if it has the recorded digest; raises `Corrupt`, which names the file and the repair."""
    found = "missing" if data is None else hashlib.sha256(data).hexdigest()
    if data is None or found != sha256:
        raise Corrupt(f"checkpoint {where} is {found[:12]}, but {sha256[:12]} was recorded: {REPAIR}.")
    return data


def quarantined_name(path: str, sha256: str) -> str:
    """What a file that has the name `path` and the wrong bytes is called from now on."""
    return f"{path}.bad-{sha256[:8]}"
