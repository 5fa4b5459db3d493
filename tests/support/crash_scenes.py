"""The commit paths that are swept, from the state before them; and the same without the guard, as controls."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from koboshi.errors import Permanent
from koboshi.formats.content_digest import content_digest
from koboshi.formats.parquet_span import write_span
from koboshi.formats.records import Records
from koboshi.formats.span_files import partition_folder
from koboshi.ingest.landing import Lander, check_readable
from koboshi.ingest.source import PartitionLog
from koboshi.journal import Journal
from koboshi.ledger import Ledger, spans
from koboshi.ledger.leases import HeldLease
from koboshi.refs import SpanRange, SpanRef
from koboshi.training import TrainingSpec, checkpoints
from koboshi.training.checkpoints import retention
from koboshi.training.checkpoints.retention import LEAST
from koboshi.training.driver.loop import train
from koboshi.training.driver.pool import PoolEvent, StepReturned
from koboshi.training.driver.restart import TRIES
from koboshi.training.driver.worker import StepOrder
from tests.support.chain_unit import straight
from tests.support.inline_executor import InlineExecutor
from tests.support.invariants import BEGINNINGS, SPANS, STEPS, span_violations, step_violations, tables
from tests.support.local_pool import BEFORE, LocalPool
from tests.support.memory_stream import MemoryStream, record
from tests.support.trainings import chain_spec


class Scene(Protocol):
    """A commit path in a folder. Each method is called in a process of its own."""

    def prepare(self, folder: Path) -> None:
        """Make the state before the path."""

    def enter(self, folder: Path) -> None:
        """Go the path, from wherever it was left."""

    def violations(self, folder: Path) -> list[str]:
        """The invariants that do not hold just now, each in a sentence; at any moment there may be none."""

    def state(self, folder: Path) -> Any:
        """All that has to be the same at the end, whatever happened on the way (JSON values)."""


class LandOneSpan:
    """Land the second span of a partition, from the lease to the ledger's row and the lease's release."""

    held, all = 10, 23
    lander: type[Lander] = Lander

    def prepare(self, folder: Path) -> None:
        self._land(folder, self.held, Lander)
        # A leftover of long ago, so that sweeping is on the path.
        orphan = folder / "spans/t/0/.part-of-long-ago"
        orphan.touch()
        os.utime(orphan, (0, 0))

    def enter(self, folder: Path) -> None:
        self._land(folder, self.all, self.lander)

    def violations(self, folder: Path) -> list[str]:
        return span_violations(folder, [record(offset) for offset in range(self.all)])

    def state(self, folder: Path) -> Any:
        """The rows, and every file below the spans' folder: an hour later nothing else is left."""
        begun = _rows(folder, BEGINNINGS, without=set())
        return begun, _rows(folder, SPANS, without={"token"}), _files(folder / "spans")

    def _land(self, folder: Path, length: int, lander: type[Lander]) -> None:
        stream = MemoryStream()
        stream.make("t", length)
        ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        lander(ledger, stream, folder, str(os.getpid()), span_records=self.all - self.held).land_topic("t")


class BeginWithNothingLeft:
    """The first landing of a partition whose records are all gone: where it begins is all that there is to record."""

    def prepare(self, folder: Path) -> None:
        Ledger(f"sqlite:///{folder / 'ledger.db'}").close()

    def enter(self, folder: Path) -> None:
        stream = MemoryStream()
        stream.make("t", 7)
        stream.expire("t", 0, 7)
        Lander(Ledger(f"sqlite:///{folder / 'ledger.db'}"), stream, folder, str(os.getpid())).land_topic("t")

    def violations(self, folder: Path) -> list[str]:
        """It is recorded whole, or not yet."""
        with tables(folder / "ledger.db") as ask:
            rows = [(row["partition"], row["start"], row["origin"]) for row in ask(BEGINNINGS)]
        return [] if rows in ([], [(0, 7, "landing")]) else [f"landing began at {rows}"]

    def state(self, folder: Path) -> Any:
        return _rows(folder, BEGINNINGS, without=set()), _rows(folder, SPANS, without=set())


class CommitOneStep:
    """Do and commit the last step of a unit, whose first checkpoint is dropped by that."""

    steps = LEAST + 1
    pool: type[LocalPool] = LocalPool

    def prepare(self, folder: Path) -> None:
        try:
            self._train(folder, LocalPool([("a", self.steps, BEFORE)] * TRIES))
        except Permanent:
            return
        raise AssertionError("the last step was done")

    def enter(self, folder: Path) -> None:
        self._train(folder, self.pool())

    def violations(self, folder: Path) -> list[str]:
        table = self._spec(folder).table
        states = [straight("a", table, done) for done in range(self.steps + 1)]
        return step_violations(folder, states)

    def state(self, folder: Path) -> Any:
        """The rows, and the files of the newest ones: the others are of no use to anybody."""
        rows, files = _rows(folder, STEPS, without={"token"}), _files(folder / "checkpoints")
        return rows, [files.get(row["path"]) for row in rows[-LEAST:]]

    def _spec(self, folder: Path) -> TrainingSpec:
        """The same training in each folder."""
        return dataclasses.replace(chain_spec(folder, steps={"a": self.steps}), key="k" * 64)

    def _train(self, folder: Path, pool: LocalPool) -> None:
        # strace counts each thread's calls apart: "the N-th" has to name one call.
        for module in (checkpoints, retention):
            module.ThreadPoolExecutor = InlineExecutor  # type: ignore[attr-defined]
        checkpoints.LAST_PATIENCE_S = 0.0  # a disk that is full stays so here
        spec = self._spec(folder)
        train(spec, pool, Ledger(spec.place.ledger_url), Journal(spec.place.journal).emit)
        if isinstance(pool, _FileLater):
            pool.show()


class OpenTheLedger:
    """Make a new ledger, in a folder that is not there yet."""

    def prepare(self, folder: Path) -> None:
        pass

    def enter(self, folder: Path) -> None:
        Ledger(f"sqlite:///{folder / 'state' / 'ledger.db'}").close()

    def violations(self, folder: Path) -> list[str]:
        """A ledger with all tables, or with none that is taken for one."""
        with tables(folder / "state" / "ledger.db") as ask:
            rows = ask("SELECT format_version FROM koboshi_versions")
        return [] if len(rows) <= 1 else [f"{len(rows)} versions"]

    def state(self, folder: Path) -> Any:
        everything = "SELECT name, sql, format_version FROM sqlite_master, koboshi_versions ORDER BY name"
        return _rows(folder / "state", everything, without=set())


class _RowFirst(Lander):
    """Commits a row for a file that has not got its name yet, and never syncs it."""

    def _land(self, lease: HeldLease, span: SpanRange, log: PartitionLog) -> SpanRef:
        check_readable(span, log)
        records = Records()
        for batch in self.source.read(span):
            records.extend(batch)
        folder = self.state_dir / partition_folder(span.topic, span.partition)
        temporary = folder / ".part-early"
        write_span(temporary, records, span.topic_id)
        sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
        path = folder / f"{span.start}-{span.end}-{sha256[:16]}.parquet"
        content = content_digest(records.offsets, records.keys, records.values)
        ref = SpanRef(span, path.relative_to(self.state_dir).as_posix(), sha256, content, len(records))
        spans.commit(self.ledger, lease.lease, ref)
        temporary.rename(path)
        return ref


class LandTheRowFirst(LandOneSpan):
    """A control: a kill before the renaming leaves a row without a file."""

    lander = _RowFirst


class _FileLater(LocalPool):
    """Tells of a step while its file has another name, and gives the name when it is asked for the next events."""

    hidden: tuple[Path, Path] | None = None
    told = False

    def begin(self, worker: str, order: StepOrder) -> None:
        super().begin(worker, order)
        event = self.events[-1]
        if isinstance(event, StepReturned):
            path = Path(order.store) / event.result.checkpoint.path
            self.hidden = path.rename(path.with_name("early")), path

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        self.show()
        events = super().next_events(timeout_s)
        self.told = any(isinstance(event, StepReturned) for event in events)
        return events

    def show(self) -> None:
        if self.hidden and self.told:
            self.hidden[0].rename(self.hidden[1])
            self.hidden = None


class CommitBeforeTheFile(CommitOneStep):
    """A control: the driver commits what the worker has not written yet."""

    pool = _FileLater


def _rows(folder: Path, query: str, without: set[str]) -> Any:
    with tables(folder / "ledger.db") as ask:
        return [{key: row[key] for key in row.keys() if key not in without} for row in ask(query)]  # noqa: SIM118


def _files(folder: Path) -> dict[str, str]:
    """The digests of all files below a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
