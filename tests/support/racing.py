"""Real processes that do the same at the same moment, forked from one server that has imported what they need.

A fresh interpreter for each would import the ledger again: that takes far longer than the race, and who is ready first
has often finished before the last one begins.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import TypeVar

PATIENCE_S = 60
CONTEXT = multiprocessing.get_context("forkserver")
# Where psycopg is not installed there is nothing of it to import: the server goes on without.
CONTEXT.set_forkserver_preload(["pytest", "koboshi.ledger", "sqlalchemy.dialects.postgresql.psycopg", "psycopg"])

T = TypeVar("T")


def at_once(racer: Callable[[str], T], url: str, racers: int) -> list[T]:
    """What `racer(url)` returns in each of `racers` processes, none of which begins before all are there."""
    barrier = CONTEXT.Barrier(racers)
    with ProcessPoolExecutor(racers, mp_context=CONTEXT, initializer=_be_ready, initargs=(barrier,)) as pool:
        return list(pool.map(partial(_with_the_others, racer), [url] * racers))


def _be_ready(barrier: Barrier) -> None:
    global _start
    _start = barrier


def _with_the_others(racer: Callable[[str], T], url: str) -> T:
    _start.wait(PATIENCE_S)  # whoever waits here takes no second place
    return racer(url)


_start: Barrier
