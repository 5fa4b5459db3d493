"""What a warm process still has to import."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.small_table import ROWS, small_table

FIRST_STEP = """
import json, sys
from koboshi.formats.manifest import DatasetRef
from koboshi.training.spec import make_unit, warm_up

given = json.loads(sys.argv[1])
warm_up("koboshi.training.sklearn_units")
unit, before = make_unit(given["factory"], given["params"]), set(sys.modules)
unit.start(DatasetRef(*given["table"]))
unit.step(1)
print(*sorted(set(sys.modules) - before))
"""


def test_a_warm_process_imports_nothing_more_in_its_first_step(tmp_path: Path) -> None:
    table = small_table(tmp_path)
    params = {"estimator": "SGDClassifier", "params": {"random_state": 7}, "rows": ROWS}
    given = {
        "factory": "koboshi.training.sklearn_units:epochs",
        "params": params,
        "table": [table.path, table.manifest_sha256],
    }
    command = [sys.executable, "-c", FIRST_STEP, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
