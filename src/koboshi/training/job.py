"""What runs inside a training job: read the specification, open a pool, train."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import typer

from koboshi.errors import Fenced, LeaseTaken
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.training.driver import train
from koboshi.training.pool import Pool
from koboshi.training.spec import TrainingSpec
from koboshi.training.status_file import StatusFile, status_path
from koboshi.training.watched_pool import WatchedPool

OpenPool = Callable[[TrainingSpec, str, Callable[[str], None]], AbstractContextManager[Pool]]


def run_job(open_pool: OpenPool) -> None:
    """Train what the file in argv[1] specifies; argv[2] is the job's name.

    A driver that was fenced ends with 75, not 65: *it* may commit nothing more, but the training goes on under the
    driver that took over, and whoever follows this job should look there.
    """
    spec = TrainingSpec.from_json(Path(sys.argv[1]).read_text())
    name = sys.argv[2]
    ledger, journal = Ledger(spec.place.ledger_url), Journal(spec.place.journal)
    journal.record("job began", run=spec.key, job=name, pid=os.getpid())
    try:
        with open_pool(spec, name, _say) as pool:
            seen = pool.seen if isinstance(pool, WatchedPool) else tuple
            status = StatusFile(status_path(Path(spec.place.state_dir), spec.key), spec.key, name, seen)
            train(spec, pool, ledger, journal, _say, status.show)
    except Fenced as error:
        raise LeaseTaken(str(error)) from error
    journal.record("job done", run=spec.key, job=name)


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
