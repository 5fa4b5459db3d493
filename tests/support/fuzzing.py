"""Input from outside, generated: 1,000 cases for each test in `make test`, 100,000 in `make fuzz`."""

import functools
import os
import random
import sys
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("FUZZ_CASES", "1000"))
# With coverage a case takes twice as long, and the later ones go through the lines of the first ones.
MEASURED = 200
# Many drawn inputs are thrown away where a format is strict, and a large one takes its time: neither is a failure.
SETTINGS = settings(max_examples=CASES, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
SURROGATES = range(0xD800, 0xE000)
_tracing: list[Any] = []
T = TypeVar("T")


def fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    """A test of Hypothesis with as many cases as are asked for, the first of which are measured."""
    handle: Any = test.hypothesis  # type: ignore[attr-defined]
    handle.inner_test = _measured_at_first(handle.inner_test)
    return SETTINGS(test)


def drawn(make: Callable[[random.Random], T]) -> st.SearchStrategy[T]:
    """What `make` draws, from one number: to draw each part costs Hypothesis ten times as much as to try the whole."""
    return st.integers(0, 2**64 - 1).map(lambda seed: make(random.Random(seed)))


def some_text(draw: random.Random, longest: int, *, surrogates: bool = False) -> str:
    """Characters of all planes, half of them ASCII; half a pair only where it is asked for."""
    kinds = [range(0x80), range(0x80), range(0x80, 0xD800), range(0xE000, 0x110000), *([SURROGATES] * surrogates)]
    return "".join(chr(draw.choice(draw.choice(kinds))) for _ in range(draw.randint(0, longest)))


def _measured_at_first(case: Callable[..., None]) -> Callable[..., None]:
    numbers = count(1)

    @functools.wraps(case)
    def measured_or_not(*given: Any, **named: Any) -> None:
        if next(numbers) > MEASURED and (tracing := sys.gettrace()):
            _tracing.append(tracing)
            sys.settrace(None)
        case(*given, **named)

    return measured_or_not


def measure_again() -> None:
    """At the end of a test."""
    while _tracing:
        sys.settrace(_tracing.pop())
