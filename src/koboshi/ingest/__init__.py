"""The ingest room: from a stream's records to committed spans, and the proof that they are equal.

| module                         | what it gives                                                            |
|--------------------------------|--------------------------------------------------------------------------|
| `span_plan`                    | decides which ranges to land                                             |
| `landing`                      | lands them: reads, publishes, commits                                    |
| `source`, `kafka_source`       | what the lander asks of a stream, and Kafka's answer to it               |
| `kafka_records`                | records as kafka-python fetches them, unpacked by `record_batch`         |
| `kafka_transactions`           | whose open transactions hold records back                                |
| `parquet_span`                 | the file of a span                                                       |
| `orphans`, `repair`, `status`  | sweeps, mends, tells                                                     |
| `rebuild`, `lost_ledger`       | rows made again from files; a ledger that does not know the files        |
| `audit`, `audit_compare`       | compares spans with the broker, through `confluent_audit`, `parquet_audit` |
| `confluent_headers`            | the audit's headers, where confluent-kafka cannot hand them out          |
| `confluent_errors`             | librdkafka's errors as koboshi's                                         |

What the records mean is no business of this room. Nothing is imported here: the audit shares no code with the lander,
and each is installed with an extra of its own.
"""
