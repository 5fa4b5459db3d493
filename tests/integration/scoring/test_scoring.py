"""`koboshi score` on a real Ray and a real MLflow: a worker is killed in the middle, and nothing shows but the wait."""

import dataclasses
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier

from koboshi.datasets.build import building, open_verified
from koboshi.drills.kit.faults import kill_while
from koboshi.events import unheard
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.ledger.steps import committed
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training
from koboshi.scoring.batch import Order, find_version, score
from koboshi.scoring.polars_partition import scoring_key
from koboshi.serving.engine import load
from koboshi.training import attach
from koboshi.training.on_ray import step_name
from tests.support.models import COLUMNS, rows, unit_record
from tests.support.running_stack import KOBOSHI, RunningStack, clean_environment
from tests.support.scorings import LocalJobs, files_of, place_in, rows_of

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MODEL = "score-test"
PARTITIONS, PARTITION_ROWS = 8, 40_000
NAMES = [f"part-{number:05d}-of-{PARTITIONS:05d}" for number in range(PARTITIONS)]
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


def order_in(stack: RunningStack, to: Path) -> Order:
    """What the command orders."""
    registry = MlflowRegistry(str(stack.settings.mlflow.tracking_uri), MODEL)
    version = find_version(registry, 1, "", stack.settings.state_dir / "serving" / "models")
    return Order(stack.project / "data" / "to-score", version, to, ("id",), PARTITION_ROWS)


def key_of(order: Order) -> str:
    return scoring_key(open_verified(order.dataset).sha256, order.version.ref, order.keep, order.rows)


def events(stack: RunningStack, key: str, name: str) -> list[dict[str, Any]]:
    """Those of one scoring."""
    journal = Journal(stack.settings.state_dir / "journal" / "training.jsonl")
    return [event for event in journal.events() if event["event"] == name and event["run"] == key]


def undisturbed(order: Order, folder: Path) -> dict[str, bytes]:
    """The same order, scored by one worker in this process, which nobody kills."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attach, "POLL_S", 0.0)
        score(order, place_in(folder), LocalJobs(), Path("job.py"), unheard)
    return files_of(order.to)


def kill_in_the_middle(stack: RunningStack, key: str, command: subprocess.Popen[str]) -> str | None:
    """Kill the worker that is in the middle of the first partition where one is caught; returns the partition."""
    ledger = Ledger(stack.settings.ledger_url)

    def pids() -> list[int]:
        return [event["pid"] for event in events(stack, key, "worker ready")]

    for name in NAMES[1:]:
        over = partial(_over, ledger, key, name, command)
        if (strike := kill_while(f"ray::{step_name(name, 1)}", pids, over)) is not None:
            assert strike.took
            return name
    return None


def _over(ledger: Ledger, key: str, name: str, command: subprocess.Popen[str]) -> bool:
    return command.poll() is not None or bool(committed(ledger, key, name))


def test_a_killed_worker_costs_the_partition_in_hand(ground: RunningStack, tmp_path: Path) -> None:
    """I5, I2: killed in the middle of a partition, the bytes are the undisturbed ones, and at most that one is done
    twice; the answers are those of the served model to the bit; a second run does nothing."""
    words, order = score_words("--version", "1", "--to", "data/scored"), order_in(ground, tmp_path / "undisturbed")
    key = key_of(order)
    command = subprocess.Popen(
        [str(KOBOSHI), *words],
        cwd=ground.project,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        struck = kill_in_the_middle(ground, key, command)
        said, _ = command.communicate(timeout=LIMIT_S)
    finally:
        command.kill()
    assert command.returncode == 0, said
    assert struck is not None, said
    assert f"{struck}: recovered" in said
    begun = Counter(str(event["unit"]) for event in events(ground, key, "step started"))
    assert begun == Counter(NAMES) + Counter([struck])
    assert files_of(ground.project / "data" / "scored") == undisturbed(order, tmp_path)
    assert_answers_are_the_served_models(ground, order)
    assert ground.run(*words).stdout.rstrip().endswith("nothing is scored.")
    assert len(events(ground, key, "step started")) == PARTITIONS + 1


def assert_answers_are_the_served_models(stack: RunningStack, order: Order) -> None:
    """Asked as a replica asks it, all rows at once: trees do not mind."""
    scored = open_verified(stack.project / "data" / "scored")
    table = pl.concat([pl.read_parquet(path) for path in scored.under("part-")])
    rows = pl.read_parquet(order.dataset / "rows.parquet")
    model = load(order.version.cache / order.version.ref.sha256).model
    answers = np.array(model.predict(rows.select(COLUMNS).fill_null(float("nan")).to_dict(as_series=False)))
    assert table["id"].equals(rows["id"])
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
