"""evaluate: each candidate of the training, judged on the test week; the best one by the number that params.yaml names.

Publishes data/evaluation (what `dvc plots` shows, and the judgement for the promotion) and metrics.json, and adds the
same numbers, with pictures, to the candidates' runs in MLflow. Safe to run again.
"""

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from koboshi.datasets.build import building, open_verified
from koboshi.datasets.params import Params, load_params
from koboshi.errors import BadInput
from koboshi.exits import run_and_exit
from koboshi.files import publish_bytes
from koboshi.settings import Settings, load_settings
from pipelines.columns import KEYS, LABEL, TABLE
from pipelines.judging import Judgement, judge
from pipelines.published import comparison
from pipelines.recording import deliver_first
from pipelines.splits import Split, test_rows

METRICS_FILE = "metrics.json"
EVALUATION = "evaluation.json"
CURVES = ("roc", "precision_recall", "card_precision", "calibration")


class EvaluateParams(Params):
    """The block `evaluate` of params.yaml."""

    select_by: Literal["auc_roc", "average_precision", "card_precision"]
    top_cards: int = Field(ge=1)
    calibration_bins: int = Field(ge=2)
    curve_points: int = Field(ge=2)


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """The judgements of one training's candidates, by name; `key` is the training's."""

    key: str
    rows: int
    frauds: int
    judgements: Mapping[str, Judgement]
    select_by: str

    @property
    def best(self) -> str:
        """The candidate with the highest chosen metric; of a tie, the first by name."""
        return min(self.judgements, key=lambda name: (-self.judgements[name].metrics[self.select_by], name))

    def metrics(self) -> dict[str, Any]:
        """What `dvc metrics show` prints."""
        of_candidates = {name: judgement.metrics for name, judgement in sorted(self.judgements.items())}
        return {"best": self.best, "rows": self.rows, "frauds": self.frauds, "candidates": of_candidates}


def evaluate(table: pl.DataFrame, scores: pl.DataFrame, key: str, split: Split, params: EvaluateParams) -> Evaluation:
    """Judge each column of scores on the test rows. Raises `BadInput` when these cannot tell good from bad."""
    rows = test_rows(table, split)
    frauds = int(rows[LABEL].sum())
    if not 0 < frauds < rows.height:
        raise BadInput(
            f"the test week from {split.test_start} has {rows.height} rows, {frauds} of them fraud, and nobody can be "
            "judged on that: stream more days, or set `split` in params.yaml."
        )
    joined = rows.join(scores, on=KEYS[0], how="left", maintain_order="left")
    names = [name for name in scores.columns if name != KEYS[0]]
    if joined.select(pl.any_horizontal(pl.col(names).is_null()).any()).item():
        raise BadInput("data/training lacks scores of the test week: run `dvc repro --force train`.")
    numbers = params.model_dump(exclude={"select_by"})
    judgements = {name: judge(rows, joined[name].to_numpy(), **numbers) for name in names}
    return Evaluation(key, rows.height, frauds, judgements, params.select_by)


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """The judgement and, for each curve, one table over all candidates."""
    described = {"key": evaluation.key, "select_by": evaluation.select_by, **evaluation.metrics()}
    (folder / EVALUATION).write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")
    for curve in CURVES:
        curves_of(evaluation, curve).write_json(folder / f"{curve}.json")


def curves_of(evaluation: Evaluation, curve: str) -> pl.DataFrame:
    """One curve of all candidates, named in the first column."""
    tables: list[pl.DataFrame] = [
        getattr(judgement, curve).select(pl.lit(name).alias("candidate"), pl.all())
        for name, judgement in sorted(evaluation.judgements.items())
    ]
    return pl.concat(tables)


def record_in_mlflow(evaluation: Evaluation, settings: Settings) -> None:
    """Add metrics and pictures to each candidate's run; where there is no MLflow, say so and go on.

    What waits in the outbox is delivered first. Raises `Unavailable` while MLflow is away.
    """
    if settings.mlflow.tracking_uri is None:
        sys.stdout.write("MLflow has no address (`koboshi up` starts it): the numbers are only in metrics.json.\n")
        return
    os.environ.setdefault("MPLCONFIGDIR", str(settings.state_dir / "cache" / "matplotlib"))  # not the home folder
    from koboshi.registry.mlflow_runs import log_evaluation
    from pipelines.pictures import draw

    deliver_first(settings, settings.mlflow.tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        for name, judgement in evaluation.judgements.items():
            figures = draw(name, judgement, Path(folder))
            uri, experiment = settings.mlflow.tracking_uri, settings.serving.model
            log_evaluation(uri, experiment, evaluation.key, name, judgement.metrics, figures)


def main() -> None:
    """Judge data/training on data/features: first MLflow, then data/evaluation, last metrics.json."""
    settings = load_settings()
    project = settings.project
    params, split = load_params(project, "evaluate", EvaluateParams), load_params(project, "split", Split)
    training, features = (open_verified(project / "data" / name) for name in ("training", "features"))
    key = json.loads(training.path("training.json").read_text())["key"]
    table, scores = pl.read_parquet(features.path(TABLE)), pl.read_parquet(training.path("scores.parquet"))
    evaluation = evaluate(table, scores, key, split, params)
    record_in_mlflow(evaluation, settings)
    with building(project / "data" / "evaluation") as folder:
        write_evaluation(evaluation, folder)
    publish_bytes(project / METRICS_FILE, json.dumps(evaluation.metrics(), indent=1, sort_keys=True).encode() + b"\n")
    sys.stdout.write(comparison(evaluation.metrics()["candidates"]))
    sys.stdout.write(f"Best by {params.select_by}: {evaluation.best}.\n")


if __name__ == "__main__":
    run_and_exit(main, "evaluate")
