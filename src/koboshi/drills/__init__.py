"""Drills: a fault is really injected into real processes, and an independent check says what became of it.

Each module of `catalogue/` declares one drill; `drill.py` runs it on a scene (`scenes/`), faults come from `faults/`,
`report.py` tells. A drill works on a topic, run or slot of its own.
"""
