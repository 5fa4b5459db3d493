"""The stages as DVC runs them: a real `dvc repro` in a project of its own, on spans landed without a broker."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest
import yaml

from koboshi.datasets.build import building, open_verified
from koboshi.formats.manifest import DatasetRef
from koboshi.ledger import Ledger, leases, steps
from koboshi.orchestration.workspaces import choose
from koboshi.project.declared import Training
from koboshi.project.project import load_project
from koboshi.training.checkpoints import write_checkpoint
from koboshi.training.spec import make_unit
from tests.support.landing import Record
from tests.support.projects import copy_project, run
from tests.support.small_stream import land_stream, small_stream

KEY = "0" * 64
STAGES = ("snapshot", "validate", "features")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with pinned spans and everything up to the features made."""
    project = copy_project(tmp_path_factory.mktemp("built"))
    land_stream(project, *small_stream(), borders=[100])
    assert json.loads(_ok(project, "koboshi", "pin", "--json"))["moved"] is True
    _ok(project, "dvc", "repro", "features")
    return project


def _ok(project: Path, *words: str) -> str:
    done = run(project, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ran(output: str) -> list[str]:
    return [stage for stage in (*STAGES, "split", "train", "evaluate") if f"Running stage '{stage}'" in output]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_done_when_nothing_changed(built: Path) -> None:
    assert json.loads(_ok(built, "koboshi", "pin", "--json"))["moved"] is False
    assert "cut.json is unchanged" in _ok(built, "koboshi", "pin")
    again = _ok(built, "dvc", "repro", "features")
    assert _ran(again) == []


def test_only_what_depends_on_a_changed_number_is_done_again(built: Path) -> None:
    params = built / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("night_until_hour: 6", "night_until_hour: 5"))
    assert _ran(_ok(built, "dvc", "repro", "features")) == ["features"]
    params.write_text(before.replace("max_amount_cents: 1_000_000", "max_amount_cents: 2_000_000"))
    assert _ran(_ok(built, "dvc", "repro", "features")) == ["validate"], "the old features come back from the cache"
    params.write_text(before)
    assert _ran(_ok(built, "dvc", "repro", "features")) == []


def test_nothing_is_written_outside_the_project(built: Path) -> None:
    assert list(built.glob("home/*")) == []
    assert {path.name for path in (built / ".koboshi" / "dvc").iterdir()} == {"cache", "site"}


def test_the_same_stream_gives_the_same_bytes_in_every_clone(built: Path, tmp_path: Path) -> None:
    """I4: other spans, 5 % duplicates and garbage between change neither the rows nor the features."""
    clone = copy_project(tmp_path)
    chance = random.Random(1)
    sales, complaints = ([*_disturbed(chance, records)] for records in small_stream())
    land_stream(clone, sales, complaints, borders=[7, 150, 260])
    _ok(clone, "koboshi", "pin")
    _ok(clone, "dvc", "repro", "features")
    for folder in ("snapshot/transactions", "snapshot/reports", "features"):
        assert _files(clone / "data" / folder) == _files(built / "data" / folder)
    counts = json.loads((clone / "data" / "snapshot" / "counts.json").read_text())["transactions"]
    assert counts == {"records": 633, "rows": 600, "duplicates": 30, "conflicting": 0, "dead_letters": 3}


def _disturbed(chance: random.Random, records: list[Record]) -> list[Record]:
    found = list(records)
    for copy in (*chance.sample(records, k=len(records) // 20), *[(b"1", b"garbage")] * 3):
        found.insert(chance.randrange(len(found)), copy)
    return found


def _object(project: Path, md5: str) -> Path:
    return project / ".koboshi" / "dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def _flip(path: Path) -> None:
    """As a bad disk does it: size, times and mode stay."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.chmod(status.st_mode)


def test_a_flipped_byte_in_the_cache_is_found_named_and_repaired(built: Path) -> None:
    """DVC checks the changed object out and is content; the next stage refuses it (65), and the repair repairs."""
    snapshot = built / "data" / "snapshot"
    before = _files(built / "data" / "features")
    day = snapshot / "transactions" / "2018-07-25.parquet"
    broken = _object(built, hashlib.md5(day.read_bytes(), usedforsecurity=False).hexdigest())
    _flip(broken)
    _ok(built, "rm", "-r", "data/snapshot")
    _ok(built, "dvc", "repro", "snapshot")
    exit_file = built / "exit-code"
    failed = run(built, "dvc", "repro", "--force", "--single-item", "features", KOBOSHI_EXIT_FILE=str(exit_file))
    assert failed.returncode == 255
    assert exit_file.read_text() == "65"
    assert f"{day} is not as it was made (nor is its source in DVC's cache, {broken})" in failed.stderr
    repaired = _ok(built, "koboshi", "dataset", "repair")
    assert f"removed {broken}" in repaired
    assert f"removed {snapshot}" in repaired
    assert _ran(_ok(built, "dvc", "repro", "features")) == ["snapshot"], "what follows was made of the same bytes"
    assert _files(built / "data" / "features") == before
    assert "is intact" in _ok(built, "koboshi", "dataset", "repair")


def test_a_flipped_byte_in_a_listing_of_the_cache_is_repaired(built: Path) -> None:
    lock = yaml.safe_load((built / "dvc.lock").read_text())
    listing = _object(built, lock["stages"]["features"]["outs"][0]["md5"])
    _flip(listing)
    assert f"removed {listing}" in _ok(built, "koboshi", "dataset", "repair")
    _ok(built, "dvc", "repro", "features")
    assert open_verified(built / "data" / "features").files == ("table.parquet",)
    assert "is intact" in _ok(built, "koboshi", "dataset", "repair")


def test_the_repair_looks_into_the_workspaces_of_experiments(built: Path) -> None:
    state_dir = built / ".koboshi"
    workspace = choose(built, state_dir, {"features.night_until_hour": 4})
    done = run(workspace.folder, "dvc", "checkout", "features", DVC_SITE_CACHE_DIR=str(state_dir / "dvc" / "site"))
    assert done.returncode == 0, done.stderr
    _flip(workspace.folder / "data" / "features" / "table.parquet")
    assert f"removed {workspace.folder / 'data' / 'features'}" in _ok(built, "koboshi", "dataset", "repair")
    assert "is intact" in _ok(built, "koboshi", "dataset", "repair")


def test_the_judgement_is_the_same_in_dvc_and_in_every_run(built: Path) -> None:
    """Made twice, numbers and curves have the same bytes; DVC shows these numbers and draws every candidate."""
    _ok(built, "dvc", "repro", "split")
    training, ref = load_project(built, "pipelines.card_fraud").training, open_verified(built / "data" / "split")
    assert training is not None
    _commit_one_step(built, KEY, training, DatasetRef(str(ref.folder), ref.sha256))
    with building(built / "data" / "train") as folder:
        (folder / "training.json").write_text(json.dumps({"key": KEY, "units": {}}))
    said = _ok(built, "dvc", "repro", "--single-item", "evaluate")
    assert "MLflow has no address" in said
    assert said.count(" (served)") == 1
    first = (built / "metrics.json").read_bytes(), _files(built / "data" / "evaluate")
    _ok(built, "dvc", "repro", "--single-item", "--force", "evaluate")
    assert ((built / "metrics.json").read_bytes(), _files(built / "data" / "evaluate")) == first
    shown = json.loads(_ok(built, "dvc", "metrics", "show", "--json"))
    assert shown[""]["data"]["metrics.json"]["data"] == json.loads(first[0])
    plots = json.loads(_ok(built, "dvc", "plots", "show", "--json"))["data"]
    assert set(plots) == {"ROC", "precision-recall", "card precision by day", "calibration"}
    for (plot,) in plots.values():
        assert {point["candidate"] for point in plot["content"]["data"]["values"]} == set(training.units)


def _commit_one_step(project: Path, key: str, training: Training, table: DatasetRef) -> None:
    """As a driver does: a checkpoint of each unit, and its step in the ledger."""
    state_dir = project / ".koboshi"
    ledger = Ledger(f"sqlite:///{state_dir / 'ledger.db'}")
    lease = leases.acquire(ledger, f"training/{key}", "driver", ttl_s=60)
    for name, declared in training.units.items():
        spec = declared.spec(training.held_out)
        unit = make_unit(spec.factory, spec.params)
        unit.start(table)
        metrics = unit.step(1)
        steps.commit(
            ledger, lease, [(write_checkpoint(str(state_dir / "checkpoints"), key, name, 1, unit.dump()), metrics)]
        )
    leases.release(ledger, lease)
    ledger.close()


def test_a_stage_says_in_one_sentence_what_is_not_there_yet(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    for stage, sentence in {
        "snapshot": "there is no cut.json yet: land the stream",
        "validate": "is no dataset (it has no manifest.json): run `dvc repro`",
        "features": "is no dataset",
        "split": "is no dataset",
        "evaluate": "is no dataset",
        "nothing": "name one stage: snapshot, validate, features, split, train, evaluate",
    }.items():
        done = run(project, "python", "-m", "pipelines.card_fraud", stage)
        assert done.returncode == 65
        assert done.stderr.startswith("card_fraud: ")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
    assert run(project, "koboshi", "pin").stderr == (
        "koboshi: no span was landed yet: run `koboshi ingest run` first.\n"
    )


def test_a_snapshot_that_is_not_good_enough_fails_for_good_and_its_report_is_there(built: Path) -> None:
    params = built / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("max_amount_cents: 1_000_000", "max_amount_cents: 1"))
    failed = run(built, "python", "-m", "pipelines.card_fraud", "validate")
    assert failed.returncode == 65
    assert "the snapshot violates: the amount is in range" in failed.stderr
    assert json.loads(open_verified(built / "data" / "validate").path("report.json").read_text())["passed"] is False
    refused = run(built, "python", "-m", "pipelines.card_fraud", "features")
    assert (refused.returncode, "has not passed validation" in refused.stderr) == (65, True)
    params.write_text(before)
    _ok(built, "dvc", "repro", "--force", "validate")


def test_only_a_stage_that_reaches_a_changed_definition_is_done_again(built: Path) -> None:
    """A comment is none; a schema's is snapshot's, validate's and features'; what they make stays the same here."""
    schemas = built / "pipelines" / "schemas.py"
    before = schemas.read_text()
    schemas.write_text(before + "# a comment\n")
    assert _ran(_ok(built, "dvc", "repro", "features")) == []
    features = built / "pipelines" / "features.py"
    text = features.read_text()
    features.write_text(text.replace("_LONGEST_US = 400 * DAY_US", "_LONGEST_US = 401 * DAY_US"))
    assert _ran(_ok(built, "dvc", "repro", "features")) == ["features"]
    features.write_text(text)
    schemas.write_text(before)
    assert _ran(_ok(built, "dvc", "repro", "features")) == []
