"""The lock of a dataset that is being built is a process's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from koboshi.datasets.build import building, open_verified
from koboshi.errors import LeaseTaken


def test_an_orphaned_stage_that_is_still_at_work_keeps_others_out(tmp_path: Path) -> None:
    """The lock ends with its process, however that ends."""
    dataset = tmp_path / "data" / "it"
    holder = (
        "import sys, pathlib; from koboshi.datasets.build import building\n"
        f"with building(pathlib.Path({str(dataset)!r})): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        with pytest.raises(LeaseTaken, match="is being built by another process"), building(dataset):
            pass
        process.kill()
    with building(dataset) as folder:
        (folder / "a.txt").write_text("one")
    assert open_verified(dataset).files == ("a.txt",)
