"""`python -m koboshi.project.promotion` against a real MLflow: once, again, refused, spoilt, by hand."""

import contextlib
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from mlflow import MlflowClient
from sklearn.tree import DecisionTreeClassifier

from koboshi.datasets.build import building
from koboshi.errors import BadInput
from koboshi.ledger import Ledger, intents
from koboshi.project import promotion
from koboshi.project.evaluation_stage import EVALUATION
from koboshi.registry import mlflow_bench
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training
from koboshi.registry.progress import StepRecord, UnitRecord
from tests.support.artefacts import flip_a_byte
from tests.support.running_stack import REPOSITORY, UNMEASURED, clean_environment

pytestmark = [pytest.mark.parts, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODEL = "promote-test"
ROWS, FEATURES, LABEL = 6000, ("amount", "noise"), "fraud"
MODULE = f"""
import koboshi

project = koboshi.Project.find()


@project.stage(deps=[])
def table(out): ...


tree = koboshi.boosting(features={FEATURES}, label="{LABEL}", steps=1, task="classification")
project.train(on="table", units={{"tree": tree}}, metric="average_precision", max_drop=0.02)
"""


def _table():
    """The amount tells fraud, with some noise."""
    numbers = np.random.default_rng(3)
    fraud = (numbers.random(ROWS) < 0.05).astype("int8")
    amount = fraud * 2.0 + numbers.normal(size=ROWS)
    return pl.DataFrame({LABEL: fraud, "amount": amount, "noise": numbers.normal(size=ROWS)})


def _model(table, *, good):
    """A tree that saw the labels, or one that saw noise."""
    features = pd.DataFrame(table.select(FEATURES).to_numpy(), columns=list(FEATURES))
    labels = table[LABEL].to_numpy()
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    return tree.fit(features, labels if good else np.roll(labels, 17)), features.head(3)


class Project:
    """A project folder with the outputs that promote reads, and a model of its own in the stack's MLflow."""

    def __init__(self, folder, uri):
        self.folder, self.uri, self.table = folder, uri, _table()
        (folder / "koboshi.toml").write_text('[pipeline]\nmodule = "promoted_flow"\n')
        (folder / "promoted_flow.py").write_text(MODULE)
        with building(folder / "data" / "table") as target:
            self.table.write_parquet(target / "rows.parquet")

    def train(self, key, *, good):
        """Record a candidate, and publish what train and evaluate would."""
        model, example = _model(self.table, good=good)
        record_training(
            self.uri, MODEL, key, {}, [UnitRecord("tree", {}, [StepRecord(1, {}, 1.8e9)], (), model, example)]
        )
        for name, file, content in (
            ("train", "training.json", {"key": key, "units": {"tree": {}}}),
            ("evaluate", EVALUATION, {"key": key, "best": "tree"}),
        ):
            with building(self.folder / "data" / name) as target:
                (target / file).write_text(json.dumps(content))

    def environment(self):
        return {
            "KOBOSHI_PROJECT": str(self.folder),
            "KOBOSHI_MLFLOW__TRACKING_URI": self.uri,
            "KOBOSHI_SERVING__MODEL": MODEL,
        }

    def promote(self, *words):
        """The outcome (the last line), and everything that was said."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
            for name, value in self.environment().items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["promote", *words])
            promotion.main()
        return json.loads(said.getvalue().splitlines()[-1]), said.getvalue()

    def command(self, *words):
        """The same as a process: exit code, and everything that was said."""
        done = subprocess.run(
            [sys.executable, "-m", "koboshi.project.promotion", *words],
            cwd=REPOSITORY,
            env=clean_environment(**self.environment(), **UNMEASURED),
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr


GOOD, BAD, SPOILT, OTHER = ("a" * 64, "b" * 64, "c" * 64, "e" * 64)


@pytest.fixture(scope="module")
def project(stack_of, tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"), stack_of("mlflow").settings.mlflow.tracking_uri)


@pytest.fixture(scope="module")
def registry(project):
    return MlflowRegistry(project.uri, MODEL)


def _versions(project):
    return sorted(int(found.version) for found in MlflowClient(project.uri).search_model_versions(f"name = '{MODEL}'"))


def test_the_first_candidate_becomes_champion_and_only_once(project, registry):
    """I6, I8: register, compare and promote; again, each says that nothing is left to do."""
    project.train(GOOD, good=True)
    assert project.promote("register")[0]["outcome"] == "registered"
    assert registry.aliased("champion") is None
    assert project.promote("register")[0]["outcome"] == "known"
    assert project.promote("compare")[0]["outcome"] == "promote"
    assert registry.aliased("champion") is None
    assert project.promote()[0]["outcome"] == "promoted"
    assert registry.aliased("champion") == 1
    outcome, said = project.promote()
    assert outcome["outcome"] == "keep"
    assert "is the champion already" in said
    assert _versions(project) == [1]


def test_a_worse_candidate_is_refused_which_is_no_crash(project, registry):
    """Exit 0, both scores told, the champion stays; the version is there to be looked at."""
    project.train(BAD, good=False)
    code, said = project.command()
    assert code == 0, said
    outcome = json.loads(said.splitlines()[-1])
    assert outcome["outcome"] == "refuse"
    assert "worse by more than the 0.02" in outcome["reason"]
    assert outcome["champion_before"]["version"] == 1
    assert registry.aliased("champion") == 1
    assert _versions(project) == [1, 2]


def test_a_move_by_hand_is_adopted_and_told(project, registry):
    """Who moved the alias in MLflow's pages is right; the next promotion starts from there."""
    registry.point("champion", 2)
    project.train(GOOD, good=True)
    outcome, said = project.promote()
    assert outcome["outcome"] == "promoted"
    assert "moved by hand from version 1 to version 2" in said
    assert registry.aliased("champion") == 1


def test_an_interrupted_promotion_is_finished_by_the_next_one(project, registry):
    """I8: the intent was written, the process died; version 2 was to be champion and is, before anything else."""
    ledger = Ledger(f"sqlite:///{project.folder / '.koboshi' / 'ledger.db'}")
    intents.open_intent(ledger, f"{MODEL}@champion", 1, 2)
    outcome, said = project.promote("compare")
    assert "interrupted release of version 2: done" in said
    assert outcome["champion_before"]["version"] == 2
    assert intents.opened(ledger, f"{MODEL}@champion") is None
    ledger.close()
    assert registry.aliased("champion") == 2
    assert project.promote()[0]["outcome"] == "promoted"


def test_the_bound_is_to_the_best_that_was_served_also_without_an_alias(project, registry, stack_of, monkeypatch):
    """What was measured on these rows is not loaded again; a version that is spoilt, or gone, is said and skipped."""
    loaded = []

    def loading(uri, source, sha256, what):
        loaded.append(what)
        return verified_model(uri, source, sha256, what)

    monkeypatch.setattr(mlflow_bench, "verified_model", loading)
    client = MlflowClient(project.uri)
    project.train(OTHER, good=True)
    assert project.promote()[0]["outcome"] == "promoted"
    client.delete_registered_model_alias(MODEL, "champion")
    project.train(BAD, good=False)
    loaded.clear()
    outcome, said = project.promote()
    assert outcome["outcome"] == "refuse", said
    assert "there is no champion, version 1, the best that was served, " in outcome["reason"]
    assert registry.aliased("champion") is None
    assert loaded == [f"{MODEL} version 2"]

    source = registry.source(registry.version(3)).removeprefix("mlflow-artifacts:/")
    flip_a_byte(stack_of("mlflow").project / ".koboshi" / "mlflow" / "artifacts" / source / "model.skops")
    shutil.rmtree(project.folder / ".koboshi" / "cache")
    outcome, said = project.promote()
    assert outcome["outcome"] == "refuse", said
    assert f"Version 3 was served before and does not count: the artefact of {MODEL} version 3 has digest" in said
    client.delete_model_version(MODEL, "3")
    assert "Version 3 was served before and does not count: promote-test version 3 is not in" in project.promote()[1]
    project.train(GOOD, good=True)
    assert project.promote()[0]["outcome"] == "promoted"


def test_a_flipped_byte_in_a_candidate_ends_with_65(project, registry, stack_of):
    """I2: found before it is registered, the run named, nothing changed."""
    project.train(SPOILT, good=True)
    artefacts = stack_of("mlflow").project / ".koboshi" / "mlflow" / "artifacts"
    newest = max(artefacts.rglob("model.skops"), key=lambda path: path.stat().st_mtime_ns)
    flip_a_byte(newest)
    code, said = project.command()
    assert code == 65, said
    assert "digest" in said
    assert "Traceback" not in said
    assert _versions(project) == [1, 2]
    flip_a_byte(newest)


def test_what_does_not_belong_together_is_refused(project):
    """An evaluation of another training, an unknown verb: a sentence, and a code that stops retries."""
    with building(project.folder / "data" / "evaluate") as target:
        (target / EVALUATION).write_text(json.dumps({"key": "d" * 64, "best": "tree"}))
    with pytest.raises(BadInput, match="dvc repro evaluate"):
        project.promote()
    with pytest.raises(SystemExit):
        project.promote("demote")
