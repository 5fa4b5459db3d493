"""The ingest room: from a stream's records to committed spans, and the proof that they are equal.

`span_plan` decides, `landing` acts, `source` is what it asks of a stream, `kafka_source` the real one. The audit reads
the broker again with other code, and imports nothing of the lander.
"""

from koboshi.ingest.landing import Lander
from koboshi.ingest.source import PartitionLog, Records, Source

__all__ = ["Lander", "PartitionLog", "Records", "Source"]
