"""`koboshi score` on a real Ray and a real MLflow: a worker is killed in the middle, and nothing shows but the wait."""

import dataclasses
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier

from koboshi.datasets.build import building
from koboshi.datasets.manifest import open_verified
from koboshi.drills.faults.signals import kill_while
from koboshi.journal import Journal
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training
from koboshi.scoring.batch import Order, score
from koboshi.scoring.mlflow_version import find_version
from koboshi.serving.sklearn_model import load
from koboshi.training import attach
from koboshi.training.ray_names import step_name
from tests.support.models import COLUMNS, rows, unit_record
from tests.support.running_stack import KOBOSHI, RunningStack, clean_environment
from tests.support.scorings import LocalJobs, files_of, place_in, rows_of

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MODEL = "score-test"
PARTITIONS, PARTITION_ROWS = 8, 20_000
STRUCK = f"part-00002-of-{PARTITIONS:05d}"
LIMIT_S = 240


@pytest.fixture(scope="module")
def ground(stack_of: Callable[..., RunningStack]) -> RunningStack:
    """A dataset of eight partitions, and a registered forest that takes some tenths of a second for each."""
    stack = stack_of("ray", "mlflow")
    registry = MlflowRegistry(str(stack.settings.mlflow.tracking_uri), MODEL)
    model = RandomForestClassifier(150, n_jobs=1, random_state=0).fit(*rows())
    record_training(
        registry.tracking_uri, MODEL, "s" * 64, {}, [dataclasses.replace(unit_record("forest"), model=model)]
    )
    registry.register(MODEL, "s" * 64, "forest")
    with building(stack.project / "data" / "to-score") as folder:
        rows_of(PARTITIONS * PARTITION_ROWS).write_parquet(folder / "rows.parquet")
    return stack


def score_words(*more: str) -> list[str]:
    return [
        "score",
        "--dataset",
        "data/to-score",
        "--model",
        MODEL,
        "--keep",
        "id",
        "--rows",
        str(PARTITION_ROWS),
        *more,
    ]


def events(stack: RunningStack, name: str) -> list[dict[str, Any]]:
    journal = Journal(stack.settings.state_dir / "journal" / "training.jsonl")
    return [event for event in journal.events() if event["event"] == name]


def undisturbed(stack: RunningStack, folder: Path) -> dict[str, bytes]:
    """The same order, scored by one worker in this process, which nobody kills."""
    settings = stack.settings
    registry = MlflowRegistry(str(settings.mlflow.tracking_uri), MODEL)
    version = find_version(registry, 1, "", settings.state_dir / "serving" / "models")
    order = Order(stack.project / "data" / "to-score", version, folder / "scored", ("id",), PARTITION_ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attach, "POLL_S", 0.0)
        score(order, place_in(folder), LocalJobs(), Path("job.py"), lambda _line: None)
    return files_of(order.to)


def test_a_killed_worker_costs_the_partition_in_hand(ground: RunningStack, tmp_path: Path) -> None:
    """I5, I2: killed in the middle of a partition, the bytes are the undisturbed ones, and at most that one is done
    twice; the answers are those of the served model to the bit; a second run does nothing."""
    command = subprocess.Popen(
        [str(KOBOSHI), *score_words("--version", "1", "--to", "data/scored")],
        cwd=ground.project,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    strike = kill_while(
        f"ray::{step_name(STRUCK, 1)}",
        lambda: [event["pid"] for event in events(ground, "worker ready")],
        lambda: command.poll() is not None,
    )
    said, _ = command.communicate(timeout=LIMIT_S)
    assert command.returncode == 0, said
    assert strike is not None, said
    assert strike.took
    begun = Counter(str(event["unit"]) for event in events(ground, "step started"))
    assert begun == Counter({f"part-{n:05d}-of-{PARTITIONS:05d}": 1 for n in range(PARTITIONS)}) + Counter([STRUCK])
    assert files_of(ground.project / "data" / "scored") == undisturbed(ground, tmp_path)
    assert f"{STRUCK}: recovered" in said
    assert_answers_are_the_served_models(ground)
    assert (
        ground.run(*score_words("--version", "1", "--to", "data/scored")).stdout.rstrip().endswith("nothing is scored.")
    )
    assert sum(begun.values()) == len(events(ground, "step started"))


def assert_answers_are_the_served_models(stack: RunningStack) -> None:
    scored, dataset = (open_verified(stack.project / "data" / name) for name in ("scored", "to-score"))
    table = pl.concat([pl.read_parquet(path) for path in scored.under("part-")])
    (artefact,) = (path for path in (stack.settings.state_dir / "serving" / "models").iterdir() if path.is_dir())
    columns = (
        pl.read_parquet(dataset.path("rows.parquet")).select(COLUMNS).fill_null(float("nan")).to_dict(as_series=False)
    )
    answers = np.array(load(artefact).model.predict(columns))
    assert table.select("prediction_0", "prediction_1").to_numpy().tobytes() == answers.tobytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version", "7"], f"model {MODEL} has no version 7: MLflow knows 1."),
        (["--slot", "nobody"], f"slot nobody of model {MODEL} points at no version"),
        (["--version", "1", "--keep", "nothing"], "column nothing cannot be kept"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_65(ground: RunningStack, words: list[str], said: str) -> None:
    done = ground.run(*score_words(*words, "--to", "data/never"), check=False)
    assert (done.returncode, done.stderr.count("\n")) == (65, 1), done.stderr
    assert said in done.stderr
    assert not (ground.project / "data" / "never").exists()
