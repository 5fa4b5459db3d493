"""Every test under coverage, that of subprocesses included: `make test`. Ends with pytest's own kind of summary line.

Three sessions of pytest run side by side: tests on the whole stack and tests on a part of one often wait for a process
or for a time to pass, and all others compute meanwhile. Those on a part are few, so pure tests go along with them. What
the first session says is shown at once, what the others say when all have ended.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".koboshi" / "coverage"
TESTS = ROOT / "tests"
MARKS = {
    "stack": "stack and not drills",
    "parts": "(parts or pure) and not stack and not drills",
    "others": "not parts and not pure and not stack and not drills",
}
PURE = ("tests/fuzz", "tests/unit")  # whose tests tests/conftest.py marks so
NOTHING_SELECTED, INTERRUPTED = 5, 2
# In pytest's order, and with its plurals.
KINDS = ("failed", "passed", "skipped", "xfailed", "xpassed", "warning", "error")
PLURALS = {"warning": "warnings", "error": "errors"}
COUNTS = re.compile(rf"(\d+) ({'|'.join(KINDS)})s?\b")
SUMMARY = re.compile(r"^=*\s?(.*) in \d+\.\d+s\b.*$")


def main() -> int:
    """0 when every test passed and enough of src/ was covered."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob(".coverage*"):
        old.unlink()
    os.environ["COVERAGE_FILE"] = str(FOLDER / ".coverage")
    began = time.monotonic()
    code, said = run(*(_command(name, sys.argv[1:]) for name in MARKS))
    covered = 0 if code == INTERRUPTED else _covered()
    sys.stdout.write(summary(said, time.monotonic() - began) + "\n")
    return code or covered


def run(first: Sequence[str], *others: Sequence[str]) -> tuple[int, list[list[str]]]:
    """Run commands side by side; the first exit code that is not good, and what each has said.

    That nothing was selected is good where another one ran. The first Ctrl-C, SIGTERM or end of the terminal is handed
    on as Ctrl-C; later ones would only stop the clearing up.
    """
    sessions: list[Session] = []
    with _interrupting(sessions):
        sessions += [Session(first, aloud=True), *(Session(other, aloud=False) for other in others)]
        codes = [session.end() for session in sessions]
    bad = [code for code in codes if code not in (0, NOTHING_SELECTED)]
    return bad[0] if bad else min(codes), [session.lines for session in sessions]


class Session:
    """A process that says something: at once where it is `aloud`, and otherwise when it has ended."""

    def __init__(self, command: Sequence[str], *, aloud: bool) -> None:
        self.lines: list[str] = []
        self._aloud = aloud
        # In a process group of its own, so that Ctrl-C comes once, and by way of `run`.
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        self._listener = Thread(target=self._listen)
        self._listener.start()

    def interrupt(self) -> None:
        """As Ctrl-C does in a terminal."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for the end, and repeat what was not said aloud."""
        self._listener.join()
        with self._process as process:
            code = process.wait()
        if not self._aloud:
            sys.stdout.writelines(self.lines)
        return code

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line)
            if self._aloud:
                sys.stdout.write(line)
                sys.stdout.flush()


@contextmanager
def _interrupting(sessions: Sequence[Session]) -> Iterator[None]:
    """Hand on the first request to end. Entered before the sessions start: they inherit no signal that is ignored."""
    heard: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            os.write(1, b"\nInterrupted: what the tests have started is stopped, which can take a minute.\n")
            for session in sessions:
                session.interrupt()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def summary(said: Iterable[Sequence[str]], took_s: float) -> str:
    """One line like pytest's, with what all sessions' last lines count; a session without one counts as an error."""
    counts: Counter[str] = Counter()
    for lines in said:
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        counts.update(_counts(found[1]) if (found := SUMMARY.match(last)) else {"error": 1})
    told = [f"{counts[kind]} {PLURALS.get(kind, kind) if counts[kind] > 1 else kind}" for kind in KINDS if counts[kind]]
    minutes = time.strftime("%-H:%M:%S", time.gmtime(took_s))
    return f" {', '.join(told) or 'no tests ran'} in {took_s:.2f}s ({minutes}) ".center(80, "=")


def _counts(told: str) -> dict[str, int]:
    return {kind: int(number) for number, kind in COUNTS.findall(told)}


def _command(name: str, words: Sequence[str]) -> list[str]:
    pytest = ["-m", "pytest", "--durations=15", "-o", f"cache_dir=.pytest_cache/{name}"]
    return [sys.executable, "-m", "coverage", "run", *pytest, *words, *selection(name, words)]


def selection(name: str, words: Sequence[str]) -> list[str]:
    """What a session runs: by its mark alone where paths are asked for, else by files, too.

    To import all test files, and all that they import, takes longer than many a test.
    """
    if any(Path(ROOT, word.partition("::")[0]).exists() for word in words):
        return ["-m", MARKS[name]]
    if name == "others":
        return [*(f"--ignore={folder}" for folder in PURE), "-m", MARKS[name]]
    files = sorted(str(path.relative_to(ROOT)) for path in TESTS.rglob("test_*.py") if is_marked(path, name))
    if name == "stack":
        return [*files, "-m", MARKS[name]]
    return [*files, *PURE, "-m", MARKS[name]]


def is_marked(path: Path, name: str) -> bool:
    """Whether a mark is named in a file: tests/conftest.py refuses a test that has its mark from elsewhere."""
    return re.search(rf"\bmark\.{name}\b", path.read_text()) is not None


def _covered() -> int:
    _coverage("combine", "--quiet")
    if code := _coverage("report"):
        sys.stdout.write("The branch coverage of src/ is below what pyproject.toml asks for.\n")
        return code
    return 0


def _coverage(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
