"""Checkpoints: what a committed state is called, where it is kept, whether it is still what it was.

store.py         the seam to where files are kept
file_store.py    a local folder, or one that all nodes have mounted
fsspec_store.py  any storage that fsspec reaches
writer.py        takes a unit's states to the store, one at a time
retention.py     which files may go
"""

import functools
import importlib
import importlib.util
import re
from pathlib import Path

from koboshi.errors import BadInput, Corrupt
from koboshi.names import one_part, parts_below
from koboshi.refs import CheckpointRef
from koboshi.training.checkpoints.store import CheckpointStore

FORMAT_VERSION = 1  # of a checkpoint: the unit's own state, byte by byte


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
