"""A stack of the benchmark's own: Ray's head without CPUs and two nodes, as `koboshi up` starts them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from koboshi.errors import Unavailable
from koboshi.settings import Settings, load_settings
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.parts.ray import NODES
from koboshi.stack.paths import find_paths

PROJECT = Path(__file__).parents[1]
KOBOSHI = Path(sys.executable).with_name("koboshi")


@contextmanager
def own_stack(*groups: str) -> Iterator[Settings]:
    """Some parts on free ports, in a temporary state folder; all of it is gone afterwards, also after Ctrl-C."""
    state = Path(tempfile.mkdtemp(prefix="koboshi-bench-"))
    os.environ |= {"KOBOSHI_PROJECT": str(PROJECT), "KOBOSHI_STATE_DIR": str(state)}
    if (downloads := PROJECT / ".koboshi" / "cache").is_dir():
        (state / "cache").symlink_to(downloads)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # also where a shell had it ignored, as in the background
    try:
        if _koboshi("up", *groups) != 0:
            raise Unavailable("the stack did not come up: see above.")
        yield load_settings(PROJECT)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
        if _koboshi("down") != 0:
            raise Unavailable(f"the stack is not down: run KOBOSHI_STATE_DIR={state} koboshi down, then remove it.")
        shutil.rmtree(state, ignore_errors=True)


def ray_environment(settings: Settings) -> Mapping[str, str]:
    """What a process of this stack needs to talk to Ray."""
    return known_parts(find_paths(settings.project, settings.state_dir))[NODES[0]].environment


def _koboshi(*words: str) -> int:
    """In a session of its own: the terminal's Ctrl-C is for the benchmark, which then ends the stack in order."""
    command = [str(KOBOSHI), *words]
    return subprocess.run(
        command, cwd=PROJECT, start_new_session=True, stdin=subprocess.DEVNULL, check=False
    ).returncode


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
