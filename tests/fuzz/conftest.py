from collections.abc import Iterator

import pytest

from tests.support.fuzzing import measure_again


@pytest.fixture(autouse=True)
def measured_again() -> Iterator[None]:
    """Whatever a fuzzed test was not measured for, the next one is."""
    yield
    measure_again()
