"""The unit tests in seconds: `make test-unit`. Ends with pytest's own kind of summary line.

Two sessions of pytest run side by side, as for `make test`, and share out what takes long to import: one has the rooms
that need scikit-learn, Ray and MLflow. Of what Hypothesis generates, both try a tenth; `make test` tries all.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.run_tests import run, summary

FOLDER = Path("tests/unit")
LEARNING = tuple(str(FOLDER / room) for room in ("benchmarks", "registry", "scoring", "serving", "training"))


def main() -> int:
    """0 when every test passed."""
    began = time.monotonic()
    code, said = run(*commands(sys.argv[1:]))
    sys.stdout.write(summary(said, time.monotonic() - began) + "\n")
    return code


def commands(words: Sequence[str]) -> list[list[str]]:
    """What the sessions run: each test is in exactly one of them."""
    pytest = [sys.executable, "-m", "pytest", "-q", "--hypothesis-profile=few", *words]
    others = [str(FOLDER), *(f"--ignore={folder}" for folder in LEARNING)]
    halves = {"learning": LEARNING, "others": others}
    return [[*pytest, "-o", f"cache_dir=.pytest_cache/unit-{name}", *chosen] for name, chosen in halves.items()]


if __name__ == "__main__":
    sys.exit(main())
