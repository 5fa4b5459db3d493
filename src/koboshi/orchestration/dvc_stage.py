"""One stage of dvc.yaml by DVC's own library, in the current folder: `python -m koboshi.orchestration.dvc_stage STAGE`.

`dvc repro` ends with 255 whatever happened, and its command line costs a second more. This ends with the stage's own
exit code, with 75 where another DVC process is at work here, and with 65 where dvc.yaml does not fit.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from koboshi.exits import AGAIN, EXIT_FILE_VARIABLE, run_and_exit
from koboshi.exits import exit_code as code_of
from koboshi.files import publish_bytes


def cache_of(project: Path) -> Path:
    """The absolute folder of the cache, as the project's DVC configuration says."""
    from dvc.config import Config

    return (project / ".dvc" / (Config(str(project / ".dvc"))["cache"].get("dir") or "cache")).resolve()


def main() -> int:
    """Reproduce the stage alone, as far as its dependencies or parameters changed; its exit code."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        mend_lock(Path(".dvc/tmp"))
        with Repo(config={"core": {"no_scm": True}}) as repo:  # no word of `git add` in a task's log
            done = repo.reproduce([sys.argv[1]], single_item=True)
    except DvcException as error:
        if not (code := _left_behind()):  # else the stage has said why
            code = exit_code(error)
            sys.stderr.write(f"dvc: {'; '.join(str(cause) for cause in _causes(error))}\n")
        return code
    sys.stdout.write(f"{sys.argv[1]}: {'done' if done else 'nothing changed'}\n")
    return 0


def exit_code(error: BaseException) -> int:
    """The code for what DVC raised, by its causes.

    75 for a lock, and for a stage that was killed or has a program of its own with codes of its own; 65 for a pipeline
    that does not fit; else what the last cause stands for.
    """
    from dvc.lock import LockError
    from dvc.stage.exceptions import StageCmdFailedError

    causes = list(_causes(error))
    if any(isinstance(cause, LockError | StageCmdFailedError) for cause in causes):
        return AGAIN
    return code_of(causes[-1])


def mend_lock(folder: Path) -> None:
    """Take out of DVC's `rwlock` what a crash left there, under DVC's own guard, so that nobody is just writing it.

    A torn file fails each later command, and so does the entry of a process that was killed and that nobody has
    reaped, or whose number another process has got: DVC takes it for a living one.
    """
    from dvc.lock import make_lock

    if not (file := folder / "rwlock").exists():
        return
    with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
        before = file.read_text()
        after = json.dumps(without_dead(before, _is_running_dvc))
        if after != before:
            publish_bytes(file, after.encode())


def without_dead(lock: str, is_alive: Callable[[int], bool]) -> dict[str, Any]:
    """The entries of living processes; none where the file is torn."""
    try:
        entries = json.loads(lock)
        write = {path: holder for path, holder in entries.get("write", {}).items() if is_alive(holder["pid"])}
        read = {path: [h for h in hs if is_alive(h["pid"])] for path, hs in entries.get("read", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    kept = {"write": write, "read": {path: holders for path, holders in read.items() if holders}}
    return {mode: locks for mode, locks in kept.items() if locks}


def _is_running_dvc(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any("dvc" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _left_behind() -> int:
    """What `koboshi.exits` wrote; 0 where the command did not get to it (it was killed)."""
    file = Path(os.environ.get(EXIT_FILE_VARIABLE, ""))
    return int(file.read_text() or 0) if file.is_file() else 0


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(main()), "dvc")
