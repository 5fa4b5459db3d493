"""Input from outside, generated: 1,000 cases for each test in `make test`, 100,000 in `make fuzz`."""

import functools
import os
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("FUZZ_CASES", "1000"))
# With coverage a case takes twice as long, and the later ones go through the lines of the first ones.
MEASURED = 200
# Many drawn inputs are thrown away where a format is strict, and a large one takes its time: neither is a failure.
SETTINGS = settings(max_examples=CASES, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
_tracing: list[Any] = []


def fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    """A test of Hypothesis with as many cases as are asked for, the first of which are measured."""
    handle: Any = test.hypothesis  # type: ignore[attr-defined]
    handle.inner_test = _measured_at_first(handle.inner_test)
    return SETTINGS(test)


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
