"""Run a module as `python -m` would, and die by SIGKILL just before its N-th change of a file or folder.

    python tests/support/killed_run.py 5 trace.txt pipelines.card_fraud snapshot

Every change below `data` that goes through the interpreter counts: a file opened for writing, a rename, a removal, a
new folder. With N = 0 it runs to its end. The changes are in the trace, so that a test knows how many there are.
"""

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


def _watch(kill_at: int, trace: int, below: str) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        changes = event in CHANGES or (event == "open" and isinstance(arguments[1], str) and "w" in arguments[1])
        if not changes or below not in str(arguments[0]):
            return
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(trace, f"{event} {arguments[0]}\n".encode())

    sys.addaudithook(hook)


if __name__ == "__main__":
    kill_at, trace, module, *words = sys.argv[1:]
    _watch(int(kill_at), os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), str(Path.cwd() / "data"))
    sys.path.insert(0, str(Path.cwd()))
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)
