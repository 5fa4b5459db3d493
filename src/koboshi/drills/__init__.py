"""Drills: a fault is really injected into real processes, and an independent check says what became of it.

A drill is a declaration (`ray_worker_killed.py`); `drill.py` runs it, `fault.py` strikes, `report.py` tells. A drill
works on a run of its own, in a folder of its own, with a ledger of its own.
"""
