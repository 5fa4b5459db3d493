"""The ingest room: from a stream's records to committed spans, and the proof that they are equal.

| module                     | what it gives                                                                 |
|----------------------------|-------------------------------------------------------------------------------|
| `landing`                  | decides which ranges to land, reads, publishes, commits them; repairs a file  |
| `source`, `kafka_source`   | what the lander asks of a stream, and Kafka's answer to it; how far it is     |
| `kafka_records`            | records as kafka-python fetches them, unpacked from the bytes of batches      |
| `stray_files`, `rebuild`   | files that no row names, a ledger that was lost; rows made again from files   |
| `audit`                    | compares spans with the broker, through `confluent_audit` and `parquet_audit` |
| `confluent_headers`        | the audit's headers, where confluent-kafka cannot hand them out               |

What the records mean is no business of this room. Nothing is imported here: the audit shares no code with the lander,
and each is installed with an extra of its own.
"""
