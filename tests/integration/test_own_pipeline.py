"""The project that `koboshi init` makes runs as it stands; README and examples show it as it is."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from koboshi.stack.topology import is_free
from tests.support.running_stack import REPOSITORY, UNMEASURED, RunningStack

BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RAN = re.compile(r"^Running stage '(\w+)'", re.MULTILINE)
DECLARED, OTHER = 'project.train(on="table", units={"trees": trees}, metric="r2")', "neg_mean_absolute_error"
SCRIPTS = Path(sys.executable).parent
OWN_UNIT = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LARGEST_BYTES = 20_000  # of a file that belongs into git


@pytest.fixture
def bikes(tmp_path: Path) -> Path:
    _run(tmp_path, "koboshi", "init", "bikes")
    return tmp_path / "bikes"


def test_the_readme_shows_the_two_files_of_a_new_project(bikes: Path) -> None:
    shown = dict(BLOCK.findall((REPOSITORY / "README.md").read_text()))
    assert {name: (bikes / name).read_text() for name in ("bikes.py", "dags/bikes.py")} == shown


def test_the_example_is_a_new_project(bikes: Path) -> None:
    example = REPOSITORY / "examples" / "bikes"
    listed = subprocess.run(["git", "ls-files"], cwd=example, capture_output=True, text=True, check=True).stdout.split()
    made = {path.relative_to(bikes).as_posix() for path in bikes.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {name for name in made if not name.startswith((".git/", ".koboshi"))} == set(listed)
    for name in listed:
        assert (example / name).read_text() == (bikes / name).read_text(), name


def test_its_dag_parses(bikes: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, 'dags'); import bikes, drill; "
        "print([sorted(dag.task_ids) for dag in (bikes.pipeline, bikes.promotion)], drill.drill_train.task_ids)"
    )
    done = _run(bikes, sys.executable, "-W", "ignore", "-c", script, AIRFLOW_HOME=str(bikes / ".koboshi" / "airflow"))
    flow = sorted(["land_rentals", "audit", "pin", "code", "table", "train", "evaluate"])
    promotion = sorted(["register", "compare", "promote", "served"])
    assert done.stdout.splitlines()[-1] == f"{[flow, promotion]} ['train']"


def test_its_own_tests_pass(bikes: Path) -> None:
    assert "1 passed" in _run(bikes, sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "tests").stdout


@pytest.mark.stack
def test_the_whole_flow_runs_once_another_metric_trains_nothing_again_and_an_own_unit_joins(
    bikes: Path, stack_of: Callable[..., RunningStack]
) -> None:
    """I1, I4 to I8 for somebody else's pipeline: from a sample record to an answer, and nothing is done twice."""
    settings = stack_of("kafka", "ray", "mlflow").settings
    ours = {
        "KOBOSHI_KAFKA__BOOTSTRAP_SERVERS": str(settings.kafka.bootstrap_servers),
        "KOBOSHI_RAY__JOBS_URL": str(settings.ray.jobs_url),
        "KOBOSHI_RAY__TOKEN_PATH": str(settings.ray.token_path),
        "KOBOSHI_MLFLOW__TRACKING_URI": str(settings.mlflow.tracking_uri),
    }
    with _replica(bikes, ours) as url:
        ours["KOBOSHI_GATEWAY__URL"] = url
        first = _run(bikes, "koboshi", "run", **ours).stdout
        assert "rentals: made, 6,000 records sent" in first
        assert "6,000 landed records are those of the broker" in first
        assert "100 rows answered by replica-1, each as version 1 predicts" in first
        _edit(bikes / "bikes.py", DECLARED, DECLARED.replace("r2", OTHER))
        again = _run(bikes, "dvc", "repro", **ours).stdout
        assert RAN.findall(again) == ["code", "evaluate"]  # the metric is evaluate's alone
        (own_unit,) = OWN_UNIT.findall((bikes / "README.md").read_text())
        _edit(bikes / "bikes.py", f"{DECLARED.replace('r2', OTHER)}\n", own_unit)
        second = _run(bikes, "koboshi", "run", **ours).stdout
        assert "rentals: has its records" in second
        assert "trend: step 5/5" in second
        assert json.loads((bikes / "metrics.json").read_text())["units"].keys() == {"trees", "trend"}
        assert "each as version 2 predicts" in second
    assert not _run(bikes, "git", "add", "-A").stderr
    added = _run(bikes, "git", "ls-files").stdout.split()
    assert {"cut.json", "code.json", "dvc.lock", "metrics.json", "bikes.py"} <= set(added)
    assert not [name for name in added if name.startswith((".koboshi", "data/"))]
    assert max((bikes / name).stat().st_size for name in added) < LARGEST_BYTES


def _edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@contextmanager
def _replica(project: Path, environment: dict[str, str]) -> Iterator[str]:
    """A replica of the project's own, which stands for gateway and replicas."""
    port = next(port for port in range(29_000, 29_900) if is_free(port))
    command = [str(SCRIPTS / "koboshi"), "serve", "--port", str(port)]
    own = _environment(project, environment)
    with subprocess.Popen(command, cwd=project, env=own, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = _environment(folder, environment)
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done


def _environment(folder: Path, own: dict[str, str]) -> dict[str, str]:
    """Without coverage: most of what these commands do is to import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KOBOSHI_", "AIRFLOW", "PYTHON"))}
    return {**kept, "PATH": f"{SCRIPTS}:{kept['PATH']}", "DVC_NO_ANALYTICS": "1", **UNMEASURED, **own}
