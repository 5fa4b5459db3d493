"""A copy of the project with a stack of its own, shared by all integration tests of a session."""

import dataclasses
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from koboshi.settings import Settings, load_settings
from koboshi.stack.parts.kafka import JARS
from koboshi.stack.paths import StackPaths, find_paths
from koboshi.stack.process_table import find_leftovers
from koboshi.stack.topology import USED_OFFSETS, is_free, kept_base
from tests.support import later_coverage
from tests.support.later_coverage import CONFIGURATION, LATER

REPOSITORY = Path(__file__).parents[2]
KOBOSHI = Path(sys.executable).with_name("koboshi")
# What a developer's shell may hold, and the stack of a test must not see.
FOREIGN = ("KOBOSHI_", "AIRFLOW", "MLFLOW_", "RAY_", "DVC_", "GIT_")
# A proxy where nobody listens: parts, clients and their children ask this machine's addresses directly.
DEAD_PROXY = dict.fromkeys(
    ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
)
NO_EXCEPTIONS = ("no_proxy", "NO_PROXY")
# With coverage an import takes half as long again, and most of what Airflow, Ray and MLflow do in a test is to import.
UNMEASURED = {CONFIGURATION: ""}


def clean_environment(**own: str) -> dict[str, str]:
    """This environment without settings of other stacks, with some of one's own, behind a proxy that is dead."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*FOREIGN, *NO_EXCEPTIONS))}
    return {**kept, **DEAD_PROXY, "PATH": f"{KOBOSHI.parent}:{kept['PATH']}", **own}


@dataclasses.dataclass
class RunningStack:
    """A project folder and the parts that run for it."""

    project: Path

    @property
    def settings(self) -> Settings:
        """The settings as the project sees them now, addresses of running parts included."""
        return load_settings(self.project)

    @property
    def paths(self) -> StackPaths:
        """The folders of the stack."""
        return find_paths(self.project, self.project / ".koboshi")

    def run(
        self, *words: str, timeout_s: float = 300, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `koboshi WORDS…` in the project; an unexpected exit code fails with what it wrote."""
        return self.call(str(KOBOSHI), *words, timeout_s=timeout_s, check=check, **environment)

    def python(self, *words: str, timeout_s: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `python WORDS…` in the project."""
        return self.call(sys.executable, *words, timeout_s=timeout_s, check=check)

    def call(
        self, *command: str, timeout_s: float = 300, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run any command in the project."""
        done = subprocess.run(
            command,
            cwd=self.project,
            env=clean_environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def up(self, *groups: str) -> None:
        """Start some parts, or all; those that run already go on. They are measured from when they import koboshi."""
        self.run("up", *groups, timeout_s=420, **UNMEASURED, **{LATER: os.environ.get(CONFIGURATION, "")})

    def down(self) -> None:
        """Stop everything, and check that nothing is left: no process, no port, no runtime folder."""
        paths, base = self.paths, kept_base(self.paths)
        self.run("down", timeout_s=120)
        assert find_leftovers(paths) == set()
        assert not paths.runtime.exists()
        assert [port for port in range(base or 0, (base or 0) + USED_OFFSETS) if base and not is_free(port)] == []


@contextmanager
def project_copy() -> Iterator[RunningStack]:
    """A copy of the project as git sees it, new files included, in a repository of its own; ended and removed after.

    The place is kept by a lock, so that a session that was killed is cleared up by the next one.
    """
    root = Path(tempfile.gettempdir()) / f"koboshi-tests-{os.getuid()}"
    root.mkdir(exist_ok=True, mode=0o700)
    with _free_place(root) as place:
        running = RunningStack(place)
        if (place / "koboshi.toml").exists():
            running.down()
        shutil.rmtree(place, ignore_errors=True)
        _copy_project(place)
        try:
            yield running
        finally:
            running.down()
            shutil.rmtree(place)


@contextmanager
def _free_place(root: Path) -> Iterator[Path]:
    name = hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:6]
    for number in range(100):
        path = root / f"{name}-{number}.lock"
        with path.open("w") as lock:
            if not _is_taken_by_us(lock.fileno(), path):
                continue
            try:
                yield root / f"{name}-{number}"
            finally:
                path.unlink()
                with suppress(OSError):  # not empty while another session is at work
                    root.rmdir()
            return
    raise AssertionError(f"a hundred test sessions at once in {root}")


def _is_taken_by_us(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino


def _copy_project(target: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    shutil.copy2(later_coverage.__file__, target / "sitecustomize.py")
    _commit_all(target)
    jars = JARS.fetch(REPOSITORY / ".koboshi" / "cache")
    shutil.copytree(jars, target / ".koboshi" / "cache" / "kafka" / jars.name)


def _commit_all(project: Path) -> None:
    author = ["-c", "user.name=koboshi", "-c", "user.email=koboshi@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--no-verify", "-m", "The project under test"]):
        subprocess.run(["git", *author, *words], cwd=project, env=clean_environment(), check=True)
