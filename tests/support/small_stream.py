"""A small stream of transactions and reports, landed in a project without a broker."""

import datetime
import random
from collections.abc import Sequence
from pathlib import Path

from koboshi.ledger import Ledger
from tests.support.landing import Record, land, report, transaction

FIRST = datetime.datetime(2018, 7, 20)


def small_stream(transactions: int = 600, days: int = 27) -> tuple[list[Record], list[Record]]:
    """Transactions over these days in order of time, and a report of every tenth."""
    chance = random.Random(7)
    step = datetime.timedelta(days=days) / transactions
    sales, complaints = [], []
    for number in range(transactions):
        when = (FIRST + number * step).replace(microsecond=0)
        sales.append(
            transaction(number, when.isoformat(), chance.randrange(40), chance.randrange(20), chance.randrange(20_000))
        )
        if number % 10 == 3:
            complaints.append(report(number, (when + datetime.timedelta(days=3)).isoformat()))
    return sales, complaints


def land_stream(
    project: Path, sales: Sequence[Record], complaints: Sequence[Record], borders: Sequence[int] = ()
) -> None:
    """Land both topics, two partitions each, as `koboshi ingest run` would."""
    state_dir = project / ".koboshi"
    ledger = Ledger(f"sqlite:///{state_dir / 'ledger.db'}")
    for topic, records in (("transactions", sales), ("fraud-reports", complaints)):
        for partition in (0, 1):
            land(ledger, state_dir, topic, partition, records[partition::2], borders=borders)
    ledger.close()
