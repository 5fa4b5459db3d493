"""A file is published whole or not at all, also when its writer is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from koboshi.files import TEMPORARY_PREFIX, publish_bytes


def test_a_kill_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    """I2 under SIGKILL: the old bytes are there, beside a temporary file that nobody takes for a result."""
    publish_bytes(tmp_path / "a", b"old")
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import os, pathlib, signal, sys\n"
                "from koboshi.files import publish\n"
                "def write(p):\n    p.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
                f"publish(pathlib.Path({str(tmp_path)!r}), 'a', write)"
            ),
        ],
        env={k: v for k, v in os.environ.items() if not k.startswith("COV")},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(TEMPORARY_PREFIX)] != []
