"""One of each durable thing, as today's code writes it: `python -m tests.formats.keep FOLDER`.

What was kept once is never written again: a new format gets new files beside the old ones.
"""

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from koboshi.datasets.pinning import pin
from koboshi.drills.drill import DrillOutcome, Event, Evidence, Finding, Injection, Series
from koboshi.drills.report import Report, save
from koboshi.formats import cut
from koboshi.formats.manifest import seal
from koboshi.ingest.landing import Lander
from koboshi.journal import Journal
from koboshi.ledger import Ledger, intents, leases, steps
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingRecord, UnitRecord
from koboshi.training.driver.worker import StepOrder, UnitWorker
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
    stream.make("late", 5)
    stream.expire("late", 0, 5)  # nothing of it was left to land
    Lander(ledger, stream, folder, "kept").land_topic("late")
    pin(ledger, folder, ["readings"], folder / cut.FILE)
    _train(folder, ledger)
    intents.settle(ledger, intents.open_intent(ledger, "m@champion", None, 1), "done")
    intents.open_intent(ledger, "m@champion", 1, 2)
    ledger.close()
    _as_text(folder / "ledger.db")
    (folder / "dataset").mkdir()
    (folder / "dataset" / "rows.csv").write_text("hours,heat\n1.5,20.0\n")
    seal(folder / "dataset")
    save(folder / "drills", _drill_report())
    Outbox.of(folder).add(_training_record())
    backup_of(filled_project(folder / "project"), folder / "new.backup")
    shutil.rmtree(folder / "project")


def _training_record() -> TrainingRecord:
    """With words in the place of a model and its rows, which libraries would not read for ever."""
    done = [StepRecord(1, {"loss": 0.5}, 1_795_500_000.25)]
    unit = UnitRecord("a", {"depth": "3"}, done, ["step 1 again"], "a model", "its rows")  # type: ignore[arg-type]
    return TrainingRecord("readings", RUN, {"threads": "1"}, [unit])


def _drill_report() -> Report:
    injection = Injection("SIGKILL", "forest, step 6", 1_795_500_000.5, 99.5, True, 4711, "1.25 s of work into it")
    evidence = Evidence(
        {"detected_after_s": 0.04, "recovered_after_s": 0.31, "redone": 1.0},
        [Event(1_795_500_000.5, "fault", "SIGKILL to forest, step 6")],
        [Series("steps done", "steps", [(1_795_500_000.0, 5.0), (1_795_500_001.0, 6.0)])],
    )
    outcome = DrillOutcome("proved", [Finding("finished", True, "the training ended in 20.1 s")], [injection], evidence)
    claim, fault = "A trainer killed at step 6 resumes.", "SIGKILL of the actor"
    told = ("training", 1_795_500_000.0, 20.5, outcome, {"cpus": 2}, {"ray": "2.60.0"})
    return Report("ray-worker-killed", claim, fault, *told)


def _as_text(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        database.with_suffix(".sql").write_text("\n".join(connection.iterdump()) + "\n")
    database.unlink()


def _train(folder: Path, ledger: Ledger) -> None:
    lease = leases.acquire(ledger, f"training/{RUN}", "kept", ttl_s=60)
    intents.close(ledger, intents.claim(ledger, RUN), "failed", "it was killed")
    intents.claim(ledger, RUN)
    store, journal = folder / "checkpoints", folder / "journal.jsonl"
    order = StepOrder(RUN, "a", UnitSpec(CHAIN, {"seed": "a"}, 2), TABLE, 1, None, str(store), str(journal))
    steps.commit(ledger, lease, [(UnitWorker(()).run_step(order).checkpoint, {"loss": 0.5})])
    Journal(journal).record("recovered", unit="a", step=1)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
