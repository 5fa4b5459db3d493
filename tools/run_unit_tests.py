"""The unit tests in seconds: `make test-unit`. Ends with pytest's own kind of summary line.

Two sessions of pytest run side by side, as for `make test`, and share out what takes long to import: one has the rooms
that need scikit-learn, Ray and MLflow. Of what Hypothesis generates, both try a tenth; `make test` tries all.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.run_tests import ROOT, run, summary

FOLDER = Path("tests/unit")
LEARNING = tuple(str(FOLDER / room) for room in ("benchmarks", "registry", "scoring", "serving", "training"))
EVENING_OUT = str(FOLDER / "training/progress/test_watching.py")  # imports none of these, and takes seconds


def main() -> int:
    """0 when every test passed."""
    began = time.monotonic()
    code, said = run(*commands(sys.argv[1:]))
    sys.stdout.write(summary(said, time.monotonic() - began) + "\n")
    return code


def commands(words: Sequence[str]) -> list[list[str]]:
    """What the sessions run: each test is in exactly one of them."""
    pytest = [sys.executable, "-m", "pytest", "-q", "--hypothesis-profile=few", *words]
    learning = [*LEARNING, f"--ignore={EVENING_OUT}"]
    rest = sorted(str(path.relative_to(ROOT)) for path in (ROOT / FOLDER).iterdir() if _has_tests(path))
    others = [*(path for path in rest if path not in LEARNING), EVENING_OUT]
    halves = {"learning": learning, "others": others}
    return [[*pytest, "-o", f"cache_dir=.pytest_cache/unit-{name}", *chosen] for name, chosen in halves.items()]


def _has_tests(path: Path) -> bool:
    """Whether pytest finds some there: the rest is configuration and caches."""
    return path.match("test_*.py") or any(path.rglob("test_*.py"))


if __name__ == "__main__":
    sys.exit(main())
