"""Every test under coverage, that of subprocesses included: `make test`. Ends with pytest's own summary line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".koboshi" / "coverage"


def main() -> int:
    """0 when every test passed and enough of src/ was covered."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob(".coverage*"):
        old.unlink()
    os.environ["COVERAGE_FILE"] = str(FOLDER / ".coverage")
    code, summary = _pytest(sys.argv[1:])
    _coverage("combine", "--quiet")
    covered = _coverage("report")
    if covered != 0:
        sys.stdout.write("The branch coverage of src/ is below what pyproject.toml asks for.\n")
    sys.stdout.write(f"{summary}\n")
    return code or covered


def _pytest(words: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "--durations=15", *words]
    summary = ""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as tests:
        for line in tests.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            summary = line.rstrip("\n") or summary
    return tests.returncode, summary


def _coverage(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
