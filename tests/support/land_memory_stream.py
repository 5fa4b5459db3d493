"""A lander in a process of its own, to be killed: `python -m … STATE_DIR HOLDER LEASE_S`."""

import sys
from pathlib import Path

from koboshi.ingest.landing import Lander
from koboshi.ledger import Ledger
from tests.support.memory_stream import MemoryStream

LENGTHS = (13,)
SPAN_RECORDS = 10


def stream_to_land() -> MemoryStream:
    """The same stream in each process."""
    stream = MemoryStream()
    stream.make("t", *LENGTHS)
    return stream


def lander_into(state_dir: Path, holder: str, lease_s: float = 30.0) -> Lander:
    ledger = Ledger(f"sqlite:///{state_dir / 'ledger.db'}")
    return Lander(ledger, stream_to_land(), state_dir, holder, span_records=SPAN_RECORDS, lease_s=lease_s)


if __name__ == "__main__":
    lander_into(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])).land_topic("t")
