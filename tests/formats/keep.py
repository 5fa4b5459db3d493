"""One of each durable thing, as today's code writes it: `python -m tests.formats.keep FOLDER`.

What was kept once is never written again: a new format gets new files beside the old ones.
"""

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from koboshi.datasets import cut
from koboshi.datasets.manifest import seal
from koboshi.datasets.pinning import pin
from koboshi.ingest.landing import Lander
from koboshi.journal import Journal
from koboshi.ledger import Ledger, attempts, intents, leases, steps
from koboshi.training.worker import StepOrder, UnitWorker
from tests.support.backed_up import backup_of, filled_project
from tests.support.memory_stream import MemoryStream
from tests.support.trainings import CHAIN, TABLE, UnitSpec

RUN = "5" * 64


def keep(folder: Path) -> None:
    """A state folder with a ledger that has rows of every kind, a dataset, and a backup."""
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    stream = MemoryStream()
    stream.make("readings", 25, 7)
    Lander(ledger, stream, folder, "kept", span_records=10).land_topic("readings")
    pin(ledger, folder, ["readings"], folder / cut.FILE)
    _train(folder, ledger)
    intents.settle(ledger, intents.open_intent(ledger, "m@champion", None, 1), "done")
    intents.open_intent(ledger, "m@champion", 1, 2)
    ledger.close()
    _as_text(folder / "ledger.db")
    (folder / "dataset").mkdir()
    (folder / "dataset" / "rows.csv").write_text("hours,heat\n1.5,20.0\n")
    seal(folder / "dataset")
    backup_of(filled_project(folder / "project"), folder / "new.backup")
    shutil.rmtree(folder / "project")


def _as_text(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        database.with_suffix(".sql").write_text("\n".join(connection.iterdump()) + "\n")
    database.unlink()


def _train(folder: Path, ledger: Ledger) -> None:
    lease = leases.acquire(ledger, f"training/{RUN}", "kept", ttl_s=60)
    attempts.close(ledger, attempts.claim(ledger, RUN), "failed", "it was killed")
    attempts.claim(ledger, RUN)
    store, journal = folder / "checkpoints", folder / "journal.jsonl"
    order = StepOrder(RUN, "a", UnitSpec(CHAIN, {"seed": "a"}, 2), TABLE, 1, None, str(store), str(journal))
    steps.commit(ledger, lease, [(UnitWorker(()).run_step(order).checkpoint, {"loss": 0.5})])
    Journal(journal).record("recovered", unit="a", step=1)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
