"""The README's pipeline of one's own runs as it stands there."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.running_stack import REPOSITORY, RunningStack

BLOCK = re.compile(r"^```(?:toml|python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    """The files of the README, each under its name."""
    for name, text in BLOCK.findall((REPOSITORY / "README.md").read_text()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "ray_jobs").mkdir()
    shutil.copy(REPOSITORY / "ray_jobs" / "train.py", tmp_path / "ray_jobs")
    return tmp_path


def test_the_readme_names_all_five(sensors: Path) -> None:
    found = {str(path.relative_to(sensors)) for path in sensors.rglob("*") if path.is_file()}
    assert found == {"koboshi.toml", "sensors.py", "dvc.yaml", "dags/sensors.py", "ray_jobs/train.py"}


def test_its_dag_parses(sensors: Path) -> None:
    script = "import sys; sys.path.insert(0, 'dags'); import sensors; print(sorted(sensors.sensors().task_ids))"
    done = _run(sensors, sys.executable, "-W", "ignore", "-c", script, AIRFLOW_HOME=str(sensors / "airflow"))
    assert done.stdout.splitlines()[-1] == "['land', 'pin', 'table', 'train']"


@pytest.mark.stack
def test_its_pipeline_lands_trains_and_does_nothing_twice(sensors: Path, stack_of: Callable[..., RunningStack]) -> None:
    """I1, I4, I5 and I6 for somebody else's pipeline: records in, a model out; again, and nothing is done."""
    settings = stack_of("kafka", "ray").settings
    _stream_readings(str(settings.kafka.bootstrap_servers))
    addresses = {
        "KOBOSHI_KAFKA__BOOTSTRAP_SERVERS": str(settings.kafka.bootstrap_servers),
        "KOBOSHI_RAY__JOBS_URL": str(settings.ray.jobs_url),
        "KOBOSHI_RAY__TOKEN_PATH": str(settings.ray.token_path),
    }
    _run(sensors, "dvc", "init", "--no-scm", "-q", **addresses)
    for command in (("koboshi", "ingest", "run"), ("koboshi", "pin"), ("dvc", "repro")):
        _run(sensors, *command, **addresses)
    model = pickle.loads((sensors / "data" / "model" / "trend.pickle").read_bytes())
    assert model.t_ == 1 + 5 * 200  # five steps over two hundred rows, none twice
    assert "Data and pipelines are up to date" in _run(sensors, "dvc", "repro", **addresses).stdout


def _stream_readings(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic("readings", num_partitions=2)])["readings"].result(30)
    producer, failed = Producer({"bootstrap.servers": servers}), []
    for hours in range(200):
        value = json.dumps({"hours": float(hours), "heat": 20.0 + hours / 4}).encode()
        producer.produce("readings", value, on_delivery=lambda error, _: error and failed.append(error))
    assert (producer.flush(30), failed) == (0, [])


def _run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KOBOSHI_", "AIRFLOW"))}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1", **environment}
    own["DVC_SITE_CACHE_DIR"] = str(folder / ".koboshi" / "dvc")
    done = subprocess.run(command, cwd=folder, env={**kept, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done
