"""The backup room: ledger, landed spans, checkpoints, DVC's cache, MLflow and Kafka's log in one file, and back.

| module            | what it gives                                                                |
|-------------------|------------------------------------------------------------------------------|
| `pieces`          | what belongs to a backup, and where it is on this machine; what git says of it |
| `pyarrow_archive` | one file with a digest for each file in it; read only as a whole, or refused  |
| `making`          | writes it, databases first: they name files that never change                 |
| `restoring`       | unpacks beside, verifies everything, then moves into place, the ledger last   |
"""
