"""Checkpoints: what a committed state is called, where it is kept, whether it is still what it was.

They are kept in a local folder, or in any storage that fsspec reaches, chosen by its URL. A file's name carries step,
digest and format, so whoever writes a step's file a second time writes the same bytes, and no two writers need to know
of each other. What counts is decided by the ledger, never by what is listed here. `CheckpointWriter` takes a unit's
states to the store, one at a time: a store that is full or slow costs safety, not time.

file_store.py    a local folder, or one that all nodes have mounted
fsspec_store.py  any storage that fsspec reaches
retention.py     which files may go
"""

import dataclasses
import functools
import importlib
import importlib.util
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

from koboshi.errors import BadInput, Corrupt, Transient
from koboshi.files import checked as checked_bytes
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
    return checked_bytes(data, sha256, f"checkpoint {where}", REPAIR)


def quarantined_name(path: str, sha256: str) -> str:
    """What a file that has the name `path` and the wrong bytes is called from now on."""
    return f"{path}.bad-{sha256[:8]}"


PATIENCE_S = 1.0  # how long a step waits for a file; a store that once took longer is not waited for again
JUDGED_BY = 3  # the quickest of so many writes is what a write usually takes: one late write says nothing
LAST_PATIENCE_S = 20.0  # the same for a unit's last step, which has nothing to go on with meanwhile
BACKOFF_S = (0.5, 30.0)  # from one failed try to the next: the first pause and the longest


@dataclasses.dataclass(frozen=True, slots=True)
class Saved:
    """What became of a state.

    `checkpoint` is the newest one that is durable and was not told of before, perhaps an earlier step's; `at_risk` is
    how many of the newest steps are not durable, and `trouble` why, unless the store is just at it.
    """

    checkpoint: CheckpointRef | None
    at_risk: int
    trouble: str


class CheckpointWriter:
    """At most one write is under way. While one is, or after one failed, states are skipped: the next one holds them.

    Under a crash of the worker the steps at risk are lost, and done again from the newest durable one.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        """`executor` does the writes, in turn; by default a thread of its own."""
        self._executor = executor or ThreadPoolExecutor(1, "checkpoints")
        self._latest_s = deque[float](maxlen=JUDGED_BY)
        self.take_up(0)

    def take_up(self, step: int) -> None:
        """Begin with a unit whose step `step` is durable; a write of before is not asked about any more."""
        self._durable = step
        self._news: CheckpointRef | None = None
        self._flight: Future[tuple[CheckpointRef, float]] | None = None
        self._slow, self._failures, self._not_before, self._trouble = False, 0, 0.0, ""

    def at_risk(self, step: int) -> int:
        """How many steps up to `step` are not durable, as far as is known."""
        return max(0, step - self._durable)

    def save(
        self,
        step: int,
        dump: Callable[[], bytes],
        write: Callable[[bytes], CheckpointRef],
        *,
        worth_s: float = PATIENCE_S,
        last: bool = False,
    ) -> Saved:
        """Bring the state after `step` on its way, and wait for it where that is usually over within `worth_s`.

        Otherwise it is written beside the next step, and the next state waits for it, unless the store is slow: of a
        store that keeps up, at most one step is at risk beside the one in hand. `last` waits, and tries again. Raises
        what `write` raises, at the latest when the next state is saved, unless it is `Transient`.
        """
        self._wait(0.0 if self._slow else PATIENCE_S)
        if self._flight is None and time.monotonic() >= self._not_before:
            self._begin(dump, write)
            if len(self._latest_s) < JUDGED_BY or min(self._latest_s) <= worth_s:
                self._wait(0.0 if self._slow else PATIENCE_S)
        if last:
            self._insist(step, dump, write)
        news, self._news = self._news, None
        return Saved(news, self.at_risk(step), self._trouble if self.at_risk(step) else "")

    def _insist(self, step: int, dump: Callable[[], bytes], write: Callable[[bytes], CheckpointRef]) -> None:
        until = time.monotonic() + LAST_PATIENCE_S
        while self.at_risk(step) and (left := until - time.monotonic()) > 0:
            if self._flight is None:
                time.sleep(min(left, max(0.0, self._not_before - time.monotonic())))
                self._begin(dump, write)
            self._wait(left)

    def _begin(self, dump: Callable[[], bytes], write: Callable[[bytes], CheckpointRef]) -> None:
        state = dump()

        def timed() -> tuple[CheckpointRef, float]:
            began = time.monotonic()
            return write(state), time.monotonic() - began

        self._flight = self._executor.submit(timed)

    def _wait(self, timeout_s: float) -> None:
        if self._flight is None:
            return
        if not wait([self._flight], timeout_s).done:
            self._slow, self._trouble = True, f"the checkpoint store takes longer than {PATIENCE_S:g} s to write"
            return
        flight, self._flight = self._flight, None
        try:
            checkpoint, seconds = flight.result()
        except Transient as error:
            self._failures += 1
            first, longest = BACKOFF_S
            self._not_before = time.monotonic() + min(longest, first * 2 ** (self._failures - 1))
            self._trouble = str(error)
        else:
            self._durable, self._news = checkpoint.step, checkpoint
            self._latest_s.append(seconds)
            self._slow, self._failures, self._not_before, self._trouble = seconds > PATIENCE_S, 0, 0.0, ""
