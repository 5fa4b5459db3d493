"""The DAG files: what Airflow makes of them, in a process and a home folder of its own."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from koboshi.orchestration.workspaces import PROJECT, PROMOTE_BOX

FLOW = ("ingest", "train", "promote")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow reads out of dags/."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "KOBOSHI_"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "KOBOSHI_PROJECT": str(ROOT),
        "KOBOSHI_STATE_DIR": str(home / "state"),
    }
    words = (sys.executable, str(ROOT / "tests/support/look_at_dags.py"), str(ROOT / "dags"))
    output = subprocess.run(words, env=environment, cwd=home, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def test_the_files_parse_each_in_less_than_a_second_of_the_processor(bag: dict[str, Any]) -> None:
    """Airflow reads them again and again; what a file names is loaded when a task runs."""
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {*FLOW, "drill_ingest", "drill_train"}
    assert len(bag["seconds"]) == 4
    assert max(bag["seconds"].values()) < 1.0


def test_no_file_has_logic() -> None:
    """Less than 10 lines, no branch, nothing imported but the face."""
    for file in (ROOT / "dags").glob("[a-z]*.py"):
        assert len(file.read_text().splitlines()) < 10, file
        nodes = list(ast.walk(ast.parse(file.read_text())))
        assert not [node for node in nodes if isinstance(node, ast.If | ast.Try | ast.While | ast.With)], file
        assert not [node for node in nodes if isinstance(node, ast.Import)], file
        imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        assert imported == {"koboshi.airflow"}, file


def test_the_tasks_of_train_are_the_stages_of_dvc_yaml(bag: dict[str, Any]) -> None:
    """One task for each stage; whatever a stage reads was made by a task before it; one at a time by the pool."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    tasks = bag["dags"]["train"]["tasks"]
    assert set(tasks) == set(stages)
    made = {path: name for name, stage in stages.items() for path in stage["outs"] if isinstance(path, str)}
    for name, stage in stages.items():
        needs = {made[dependency] for dependency in stage["deps"] if dependency in made} | ({"code"} - {name})
        assert needs <= before(tasks, name), name
    assert {task["pool"] for task in tasks.values()} == {"dvc"}


def before(tasks: dict[str, Any], name: str) -> set[str]:
    """All tasks that a task waits for."""
    direct = set(tasks[name]["upstream"])
    return direct.union(*(before(tasks, other) for other in direct))


def test_assets_link_the_three(bag: dict[str, Any]) -> None:
    """A moved cut starts the training, a candidate starts the promotion; the cut's event is compared with the last."""
    dags = bag["dags"]
    assert dags["train"]["assets"] == dags["ingest"]["tasks"]["pin"]["outlets"] == ["stream-cut"]
    assert dags["ingest"]["tasks"]["pin"]["inlets"] == ["stream-cut"]
    assert dags["promote"]["assets"] == dags["train"]["tasks"]["evaluate"]["outlets"] == ["candidate"]
    emitters = [t for d in dags.values() for t, task in d["tasks"].items() if task["outlets"]]
    assert sorted(emitters) == ["evaluate", "pin"]


def test_every_task_retries_with_backoff_and_fails_at_once_on_65(bag: dict[str, Any]) -> None:
    """What cannot pass is not tried again."""
    tasks = [task for dag in bag["dags"].values() for task in dag["tasks"].values()]
    assert tasks
    for task in tasks:
        assert task["retries"] == 4
        assert task["backoff"] == 2.0
        assert task["rule"] == ["koboshi.errors.Permanent", "fail"]
        assert task["owner"] == "koboshi"


def test_every_dag_tells_a_newcomer_what_it_does(bag: dict[str, Any]) -> None:
    """Each task is explained by name, and two runs of one DAG of the flow do not overlap."""
    for name, dag in bag["dags"].items():
        assert dag["active"] == 1 or name not in FLOW
        assert "koboshi" in dag["tags"]
        assert len(dag["doc"]) > 300, name
    for task in ("register", "compare", "promote", "served"):
        assert f"**{task}**" in bag["dags"]["promote"]["doc"]


def test_the_cut_moves_only_after_the_audit(bag: dict[str, Any]) -> None:
    """Every topic of koboshi.toml is landed, then compared with the broker, then pinned."""
    tasks = bag["dags"]["ingest"]["tasks"]
    assert tasks["pin"]["upstream"] == ["audit"]
    assert tasks["audit"]["upstream"] == ["land_fraud-reports", "land_transactions"]


def test_the_trigger_form_has_the_numbers_of_params_yaml(bag: dict[str, Any]) -> None:
    """Empty by default, which means "as committed"; typed; the simulated stream's numbers are not among them."""
    params = bag["dags"]["train"]["params"]
    committed = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert "split.train_days" in params
    numbers = {name for name in params if name != PROMOTE_BOX}
    assert {name.partition(".")[0] for name in numbers} == {"validate", "features", "split", "train", "evaluate"}
    assert params["split.train_days"]["value"] is None
    assert params["split.train_days"]["schema"]["type"] == ["null", "integer"]
    assert str(committed["split"]["train_days"]) in params["split.train_days"]["description"]
    assert bag["dags"]["promote"]["params"]["workspace"]["value"] == PROJECT


def test_an_experiment_is_promoted_only_by_a_box_that_is_off(bag: dict[str, Any]) -> None:
    """Both forms have it, and both guides tell of it."""
    for name in ("train", "promote"):
        box = bag["dags"][name]["params"][PROMOTE_BOX]
        assert (box["value"], box["schema"]["type"]) == (False, "boolean")
        assert f"`{PROMOTE_BOX}`" in bag["dags"][name]["doc"]
    assert PROMOTE_BOX not in bag["dags"]["ingest"]["params"]


def test_what_the_drills_kill_is_made_of_the_same_tasks(bag: dict[str, Any]) -> None:
    """Tried again in the same way and in the same order, started by nobody else, and telling of nothing."""
    dags = bag["dags"]
    assert dags["drill_ingest"]["tasks"]["audit"]["upstream"] == ["land"]
    assert set(dags["drill_train"]["tasks"]) == {"train"}
    for name in ("drill_ingest", "drill_train"):
        assert dags[name]["assets"] == []
        assert [task["outlets"] for task in dags[name]["tasks"].values() if task["outlets"]] == []
        assert list(dags[name]["params"]) == ["workspace"]
