"""Input from outside, generated: 1,000 cases for each test in `make test`, 100,000 in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("FUZZ_CASES", "1000"))
# Many drawn inputs are thrown away where a format is strict, and a large one takes its time: neither is a failure.
fuzzed = settings(max_examples=CASES, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
