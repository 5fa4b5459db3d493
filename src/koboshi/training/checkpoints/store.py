"""The seam to where checkpoints are kept: a local folder, or any storage that fsspec reaches, chosen by its URL.

A file's name carries step, digest and format, so whoever writes a step's file a second time writes the same bytes, and
no two writers need to know of each other. What counts is decided by the ledger, never by what is listed here.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from koboshi.errors import Corrupt

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


def checked(data: bytes | None, sha256: str, where: str) -> bytes:
    """`data`, if it has the recorded digest; raises `Corrupt`, which names the file and the repair."""
    found = "missing" if data is None else hashlib.sha256(data).hexdigest()
    if data is None or found != sha256:
        raise Corrupt(f"checkpoint {where} is {found[:12]}, but {sha256[:12]} was recorded: {REPAIR}.")
    return data


def quarantined_name(path: str, sha256: str) -> str:
    """What a file that has the name `path` and the wrong bytes is called from now on."""
    return f"{path}.bad-{sha256[:8]}"
