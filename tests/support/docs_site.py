"""The documentation as a site, built once for the tests that look at it."""

import subprocess
import sys
from pathlib import Path

from tools.run_tests import ROOT


def build_site(folder: Path) -> Path:
    """Build it as `make docs` does; raises what the builder said when there is a warning."""
    site = folder / "site"
    made = subprocess.run(
        [sys.executable, "-m", "tools.build_docs", str(site)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return site
