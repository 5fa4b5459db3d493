"""A unit around another one, a step of which holds the interpreter in C: for a while, or, once, without an end."""

import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from koboshi.formats.manifest import DatasetRef
from koboshi.training.spec import make_unit

MEASURED = 1_000_000


class Hanging:
    """Step `at` burns `busy_s` of processor time first; and it never ends for whoever makes the file `once`.

    What is learnt is the inner unit's alone, so the models can be compared with those of a unit that was let be.
    """

    def __init__(self, factory: str, params: Mapping[str, Any], at: int, once: str, busy_s: float) -> None:
        self._inner, self._at, self._once, self._busy_s = make_unit(factory, params), at, once, busy_s

    def start(self, table: DatasetRef) -> None:
        """As the inner unit."""
        self._inner.start(table)

    def step(self, number: int) -> Mapping[str, float]:
        """The inner unit's step, after what holds it up."""
        if number == self._at:
            _burn(self._busy_s)
            if self._once and _first(Path(self._once)):
                any(itertools.repeat(False))  # one call in C that neither ends nor lets the interpreter go
        return self._inner.step(number)

    def dump(self) -> bytes:
        """As the inner unit."""
        return self._inner.dump()

    def load(self, state: bytes) -> None:
        """As the inner unit."""
        self._inner.load(state)


def _burn(seconds: float) -> None:
    """Spend processor time in one call that holds the interpreter."""
    began = time.process_time()
    any(itertools.repeat(False, MEASURED))
    any(itertools.repeat(False, int(MEASURED * seconds / (time.process_time() - began))))


def _first(file: Path) -> bool:
    """Make a file with this process's id, unless it is there; the id is there as soon as the file is."""
    mine = file.with_name(f"{file.name}.{os.getpid()}")
    mine.write_text(str(os.getpid()))
    try:
        os.link(mine, file)
    except FileExistsError:
        return False
    finally:
        mine.unlink()
    return True
