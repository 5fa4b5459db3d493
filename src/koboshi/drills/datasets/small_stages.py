"""`python -m koboshi.drills.datasets.small_stages numbers | total`: two stages of a drill's own pipeline.

`numbers` makes a table of what was landed up to the cut, `total` reads it, as any user of a dataset does.
"""

import json
import sys
from pathlib import Path

from koboshi.datasets.build import building, open_verified
from koboshi.errors import BadInput
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.settings import load_settings

NUMBERS, TABLE = "numbers", "table.parquet"
TOTAL, RESULT = "total", "total.json"


def numbers() -> None:
    """The values of the landed records, as whole numbers in order; without compression, so that a byte is a number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from koboshi.datasets import span_records
    from koboshi.formats import cut

    settings = load_settings()
    pinned = cut.read(settings.project / cut.FILE)
    if pinned is None:
        raise BadInput("there is no cut yet: pin what was landed first.")
    batches = span_records.read(Ledger(settings.ledger_url), settings.state_dir, pinned)
    found = sorted(int(value) for batch in batches for value in batch.values if value is not None)
    with building(settings.project / "data" / NUMBERS) as folder:
        table = pa.table({"number": pa.array(found, pa.int64())})
        pq.write_table(table, folder / TABLE, compression="none", use_dictionary=False)


def total() -> None:
    """Count and sum of the table, whose bytes are verified first."""
    project = load_settings().project
    publish_total(project, open_verified(project / "data" / NUMBERS).path(TABLE))


def publish_total(project: Path, table: Path) -> None:
    """What a reader makes of the table."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    column = pq.read_table(table)["number"]
    with building(project / "data" / TOTAL) as folder:
        (folder / RESULT).write_text(json.dumps({"count": len(column), "sum": pc.sum(column).as_py()}))


def table_numbers(table: Path) -> list[int]:
    """The numbers of a table as they are in it."""
    import pyarrow.parquet as pq

    found: list[int] = pq.read_table(table)["number"].to_pylist()
    return found


if __name__ == "__main__":
    run_and_exit({NUMBERS: numbers, TOTAL: total}[sys.argv[1]], sys.argv[1])
