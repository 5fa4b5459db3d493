"""The kernel's table of processes, of a living child."""

import os
import subprocess
import sys

from koboshi.stack.process_table import TAG, read_process, read_processes, start_ticks


def test_a_real_process_is_read_with_its_tag() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, TAG: "abc"}, start_new_session=True
    )
    try:
        process = read_process(child.pid)
        assert process is not None
        assert (process.parent, process.group, process.session) == (os.getpid(), child.pid, child.pid)
        assert read_processes()[child.pid].tag == "abc"
        assert start_ticks(child.pid) == process.ticks > 0
    finally:
        child.communicate(b"\n")
    assert start_ticks(child.pid) == 0
