"""Killed before any renaming, a batch scoring leaves nothing wrong; run again, it publishes the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def test_killed_at_any_renaming_the_next_run_publishes_the_same(tmp_path: Path) -> None:
    """I2, I5: the order, two partitions, their copies, the description, the manifest, the folder: all are struck."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.scoring_scene", str(tmp_path)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")} | ALONE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    struck = [json.loads(line) for line in done.stdout.splitlines()]
    parts = [f"part-0000{number}-of-00002.parquet" for number in range(2)]
    names = [point["at"] for point in struck]
    assert names[0] == "specification.json"
    assert [name.partition("-")[0] for name in names[1:3]] == ["0001", "0001"]
    assert names[3:] == [*parts, "scoring.json", "manifest.json", "scored"]
    assert [point for point in struck if point["wrong"] or not point["same"]] == []
