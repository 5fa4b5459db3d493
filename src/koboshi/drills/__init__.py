"""Drills: a fault is really injected into real processes, and an independent check says what became of it.

Each drill is one module in the folder of its layer (`ingest/`, `datasets/`, `training/`, `orchestration/`, `tracking/`,
`serving/`), beside what the drills of that layer share. `kit/` has what any drill may use: faults, things of its own,
witnesses. `drill.py` runs one, `catalogue.py` finds them all, `report.py` tells. A drill works on a topic, run or slot
of its own.
"""
