"""The file in which a driver shows how its run stands, at most once a second: losing it loses nothing."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from koboshi.names import one_part
from koboshi.training.run_state import RunState
from koboshi.training.standing import Seen, Standing

EVERY_S = 1.0


def status_path(state_dir: Path, key: str) -> Path:
    """Where the run with this key is shown."""
    return state_dir / "training" / one_part(f"{key[:16]}.json", "the training's key")


def unseen(_state: RunState) -> None:
    """Show nobody how a run stands."""


class StatusFile:
    """Replaced by a rename, so that a reader gets a whole one; not fsynced, for nothing is decided by it."""

    def __init__(
        self,
        path: Path,
        key: str,
        job: str,
        seen: Callable[[], Iterable[Seen]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seen` tells of the workers, whenever it is asked."""
        self._path, self._key, self._job, self._seen, self._now = path, key, job, seen, now
        self._due = float("-inf")

    def show(self, state: RunState) -> None:
        """Write how the run stands if it is time to, and in any case when it has ended. A full disk stops nobody."""
        if self._now() < self._due and not state.finished:
            return
        self._due = self._now() + EVERY_S
        standing = Standing.of(self._key, self._job, state, self._seen(), time.time())
        with contextlib.suppress(OSError):
            self._write(standing.to_json())

    def _write(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.stem}.{os.getpid()}.part")
        try:
            temporary.write_text(text)
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


def read_status(state_dir: Path, key: str) -> Standing | None:
    """What the newest driver of a run has shown last; None when nothing is there. Raises `BadInput`."""
    try:
        text = status_path(state_dir, key).read_text()
    except FileNotFoundError:
        return None
    standing = Standing.from_json(text)
    return standing if standing.key == key else None
