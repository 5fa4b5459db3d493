"""What candidates are judged by: the rows of the test week, the chosen metric, and how much worse one may be."""

from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from koboshi.datasets.build import open_verified
from koboshi.datasets.params import Params, load_params
from koboshi.files import sha256_of
from koboshi.registry.mlflow_bench import Bench
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.release import Scores
from pipelines import candidates, judging, splits
from pipelines.candidates import features_of, probability
from pipelines.columns import TABLE
from pipelines.evaluate import EvaluateParams
from pipelines.judging import judge
from pipelines.splits import Split, test_rows

CODE = (candidates, judging, splits)


class PromoteParams(Params):
    """The block `promote` of params.yaml."""

    max_drop: float = Field(ge=0)


def bench_of(registry: MlflowRegistry, project: Path, state_dir: Path) -> Bench:
    """The test rows of data/features, and the metric that the candidate was chosen by.

    A score that was measured on these rows before is found again in the state folder.
    """
    features, split = open_verified(project / "data" / "features"), load_params(project, "split", Split)
    params = load_params(project, "evaluate", EvaluateParams)
    rows = test_rows(pl.read_parquet(features.path(TABLE)), split)
    measure = {
        "rows": features.ref(project).manifest_sha256,
        "split": split.model_dump(mode="json"),
        "metric": params.model_dump(mode="json"),
        "code": [sha256_of(Path(str(module.__file__))) for module in CODE],
    }

    def score(model: Any) -> float:
        judged = judge(rows, probability(model, features_of(rows)), **params.model_dump(exclude={"select_by"}))
        return float(judged.metrics[params.select_by])

    return Bench(registry, Scores(state_dir, measure), score)


def max_drop(project: Path) -> float:
    """How much worse than the best that was served a candidate may be."""
    return load_params(project, "promote", PromoteParams).max_drop
