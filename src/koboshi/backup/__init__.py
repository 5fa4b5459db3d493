"""The backup room: ledger, landed spans, checkpoints, DVC's cache, MLflow and Kafka's log in one file, and back.

| module            | what it gives                                                                  |
|-------------------|--------------------------------------------------------------------------------|
| `pyarrow_archive` | one file with a digest for each file in it; read only as a whole, or refused   |
| `making`          | what belongs to a backup; writes it, databases first: their files never change |
| `restoring`       | unpacks beside, verifies everything, then moves into place, the ledger last    |
"""
