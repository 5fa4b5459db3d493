"""What is seen of a training from outside of it: its journal, the ledger's rows, its files, the kernel's processes."""

from pathlib import Path
from typing import Any, TypeVar

import psutil
import sqlalchemy as sa

from benchmarks.peers.peer_steps import StepCommitted, final_state
from benchmarks.timeline import Begun, Committed
from koboshi.errors import Unavailable
from koboshi.events import Event, StepStarted, WorkerReady
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.ledger.tables import steps
from koboshi.training import TrainingSpec
from koboshi.training.attach import final_steps
from koboshi.training.checkpoints import read_checkpoint

E = TypeVar("E", bound=Event)


class Witness:
    """Of one training. `ours`: its commits are the ledger's; a peer's are what it has written down itself."""

    def __init__(self, spec: TrainingSpec, *, ours: bool = True) -> None:
        self.spec, self.ours = spec, ours
        self._journal, self.ledger = Journal(spec.place.journal), Ledger(spec.place.ledger_url)
        self._told: dict[type[Event], list[tuple[Any, float]]] = {}
        self._read_to = 0

    def told(self, kind: type[E]) -> list[tuple[E, float]]:
        """The journal's events of one kind and when they were, oldest first. No line is read twice: it shares cores."""
        news, self._read_to = self._journal.read(self._read_to)
        for entry in news:
            self._told.setdefault(type(entry.event), []).append((entry.event, entry.at))
        return list(self._told.get(kind, ()))

    def begun(self, unit: str = "") -> list[Begun]:
        """Steps as workers began them, of one unit or of all."""
        told = (Begun(e.step, e.pid, at, e.unit) for e, at in self.told(StepStarted))
        return [begun for begun in told if unit in ("", begun.unit)]

    def at_work(self) -> dict[str, Begun]:
        """By unit, the step that was begun last, where its process is alive and the step is not committed yet."""
        latest = {begun.unit: begun for begun in self.begun()}
        return {
            unit: begun
            for unit, begun in latest.items()
            if psutil.pid_exists(begun.pid) and begun.step not in {c.step for c in self.committed(unit)}
        }

    def committed(self, unit: str = "") -> list[Committed]:
        """Steps that count, in the order of time: by the ledger's rows, or by the peer's own report."""
        if not self.ours:
            return [Committed(e.step, at) for e, at in self.told(StepCommitted)]
        asked = sa.select(steps.c.step, steps.c.committed_at).where(
            steps.c.run_key == self.spec.key, steps.c.quarantined.is_(None)
        )
        if unit:
            asked = asked.where(steps.c.unit == unit)
        with self.ledger.snapshot() as connection:
            rows = connection.execute(asked.order_by(steps.c.committed_at)).all()
        return [Committed(row.step, row.committed_at) for row in rows]

    def warm(self) -> dict[int, str]:
        """The living workers that said that they are ready, and their nodes; a peer's workers say nothing."""
        ready = {e.pid: e.node for e, _at in self.told(WorkerReady)}
        return {pid: node for pid, node in ready.items() if psutil.pid_exists(pid)}

    def final_states(self) -> dict[str, bytes]:
        """Each unit's last state, read from the store; raises `Unavailable` while there is none."""
        store = self.spec.place.checkpoints
        if not self.ours:
            (unit,) = self.spec.units
            return {unit: final_state(Path(store))}
        done = final_steps(self.spec, self.ledger)
        if done is None:
            raise Unavailable("not all steps are committed.")
        return {unit: read_checkpoint(store, rows[-1].checkpoint) for unit, rows in done.items()}

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()
