"""What people look for beside a training's record: gathered, kept, and shown in MLflow's words."""

import dataclasses
import json
from pathlib import Path

import pytest
from mlflow.entities import Run, RunData, RunInfo, RunInputs

from koboshi.events import CheckpointQuarantined, Recovered, StepStarted, TakenUp
from koboshi.journal import Entry
from koboshi.registry import mlflow_facts
from koboshi.registry.facts import Mark, TrainingFacts, marks
from koboshi.registry.mlflow_logged_models import model_name

KEY = "ab" * 32
FACTS = TrainingFacts(
    project="fraud",
    dataset="features",
    dataset_sha256="5fd1c0a2" * 8,
    commit="bef7d4a9" * 5,
    uncommitted=("cut.json", "dvc.lock"),
    changed={"train.seed": "0 → 7", "train.odd/näme!": "1 → 2"},
    recovered={"forest": [Mark(3, 30.0), Mark(5, 50.5)]},
    journal=Path("journal.jsonl"),
)


def run(*inputs: object) -> Run:
    info = RunInfo("r", "1", "u", "RUNNING", 0, None, "active")
    return Run(info, RunData(), RunInputs(list(inputs)))  # type: ignore[arg-type, no-untyped-call]


def test_marks_are_the_recoveries_of_one_training_by_unit() -> None:
    """Another training's, and what is no recovery, are passed over."""
    recovered = Recovered(run=KEY, unit="a", step=4, worker="w", after_s=0.1)
    entries = [
        Entry(StepStarted(run=KEY, unit="a", step=1, pid=1), 1.0),
        Entry(TakenUp(run=KEY, unit="a", step=2, total=9), 2.0),
        Entry(CheckpointQuarantined(run=KEY, unit="b", step=3, reason="r"), 3.0),
        Entry(recovered, 4.0),
        Entry(dataclasses.replace(recovered, run="cd" * 32), 5.0),
    ]
    assert marks(entries, KEY) == {"a": [Mark(2, 2.0), Mark(4, 4.0)], "b": [Mark(3, 3.0)]}


def test_facts_are_kept_as_json() -> None:
    """All but where more of them are written; what a newer koboshi adds is passed over."""
    kept = json.loads(json.dumps({**FACTS.as_json(), "later": 1}))
    assert TrainingFacts.from_json(kept) == dataclasses.replace(FACTS, journal=None)
    assert TrainingFacts.from_json({}) == TrainingFacts()


def test_a_run_is_named_by_dataset_commit_and_what_was_changed() -> None:
    plain = dataclasses.replace(FACTS, changed={})
    many = dataclasses.replace(FACTS, changed={f"p{number}": "1 → 2" for number in range(5)})
    assert mlflow_facts.run_name(plain, KEY) == "features 5fd1c0a2 at bef7d4a"
    assert mlflow_facts.run_name(many, KEY) == "features: p0 1 → 2, p1 1 → 2, p2 1 → 2, 2 more, 5fd1c0a2 at bef7d4a"
    assert mlflow_facts.run_name(dataclasses.replace(plain, commit=""), KEY) == "features 5fd1c0a2"
    assert mlflow_facts.run_name(TrainingFacts(), KEY) == "abababab", "without facts it has the key's beginning"


def test_tags_tell_the_commit_and_each_changed_parameter() -> None:
    assert mlflow_facts.tags_of(FACTS) == {
        "mlflow.source.name": "fraud",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "bef7d4a9" * 5,
        "mlflow.source.git.dirty": "true",
        "koboshi.uncommitted": "cut.json, dvc.lock",
        "changed.train.seed": "0 → 7",
        "changed.train.odd/näme-": "1 → 2",
    }
    assert mlflow_facts.tags_of(dataclasses.replace(FACTS, uncommitted=()))["mlflow.source.git.dirty"] == "false"
    assert mlflow_facts.tags_of(TrainingFacts()) == {}


def test_a_description_says_it_in_sentences() -> None:
    said = mlflow_facts.description(FACTS)
    assert said.splitlines()[0] == f"Trained on the dataset **features**, manifest `{'5fd1c0a2' * 8}`."
    assert "uncommitted changes in cut.json, dvc.lock" in said
    assert said.splitlines()[-2:] == ["- train.seed: 0 → 7", "- train.odd/näme!: 1 → 2"]
    assert mlflow_facts.description_tag(TrainingFacts()) == {}


def test_a_dataset_is_an_input_once() -> None:
    """By name and digest; the whole digest is in its source."""
    (found,) = mlflow_facts.missing_inputs(FACTS, run())
    assert (found.dataset.name, found.dataset.digest) == ("features", "5fd1c0a2" * 2)
    assert json.loads(found.dataset.source)["manifest_sha256"] == "5fd1c0a2" * 8
    assert mlflow_facts.missing_inputs(FACTS, run(found)) == []
    assert mlflow_facts.missing_inputs(TrainingFacts(), run()) == []
    assert mlflow_facts.dataset_of(run(found)) == {"dataset_name": "features", "dataset_digest": "5fd1c0a2" * 2}
    assert mlflow_facts.dataset_of(run()) == {}


def test_a_mark_is_one_at_its_step_at_its_first_time() -> None:
    told = mlflow_facts.marks_by_step([Mark(5, 50.0), Mark(3, 30.0), Mark(5, 51.0)])
    assert [(one.step, dict(one.metrics), one.at_s) for one in told] == [
        (3, {"recovered": 1.0}, 30.0),
        (5, {"recovered": 1.0}, 50.0),
    ]


@pytest.mark.parametrize(("unit", "name"), [("boosting", "boosting"), ("fold-1.2/a:b%", "fold-1-2-a-b-")])
def test_a_model_has_its_units_name_as_far_as_mlflow_takes_it(unit: str, name: str) -> None:
    assert model_name(unit) == name
