"""Coverage in a process of a stack, from when it imports koboshi: other imports would take half as long again.

A copy of the project has this file as its `sitecustomize.py`, which Python runs first where PYTHONPATH has the folder:
in Airflow's programs and tasks, and in Ray's nodes and workers.
"""

import os
import sys
from typing import Any

LATER = "TESTS_COVERAGE_LATER"
CONFIGURATION = "COVERAGE_PROCESS_CONFIG"


class _Watch:
    def find_spec(self, name: str, *_: Any) -> None:
        """Find nothing; but with the first look for koboshi measuring begins."""
        if name != "koboshi":
            return
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        import coverage

        os.environ[CONFIGURATION] = os.environ[LATER]
        coverage.process_startup()
        os.environ[CONFIGURATION] = ""  # its children begin later, too


if os.environ.get(LATER):
    sys.meta_path.insert(0, _Watch())  # type: ignore[arg-type]
