"""One training of everybody in all weeks: what it scores, the digests of that, and what it is judged at."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from benchmarks.model.entrants import Entrant, unit_name
from benchmarks.model.killer import Killed
from benchmarks.model.week_units import features_of
from benchmarks.witness import Witness
from koboshi.ledger.steps import CommittedStep
from koboshi.training.attach import final_steps
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.sklearn_units import fitted_model
from pipelines.candidates import probability
from pipelines.columns import LABEL
from pipelines.judging import EvaluateParams, judge
from pipelines.splits import Split, test_rows

PERFECT = "perfect scores"
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By model and week: its metrics."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a training; `digests` are of each unit's scores, `histories` its metrics step by step."""

    trained_s: float
    kills: Sequence[Killed]
    figures: Figures
    digests: Mapping[str, str]
    histories: Mapping[str, Sequence[Mapping[str, float]]]


def outcome(
    run: Witness,
    kills: Sequence[Killed],
    table: pl.DataFrame,
    entrants: Sequence[Entrant],
    weeks: Sequence[Split],
    params: EvaluateParams,
) -> Outcome:
    """Score every week by every model, from the final checkpoints, and judge."""
    committed = final_steps(run.spec, run.ledger) or {}
    figures: dict[str, dict[str, Mapping[str, float]]] = {entrant.name: {} for entrant in entrants}
    digests: dict[str, str] = {}
    for week in weeks:
        rows = test_rows(table, week)
        scores = _scores(run, committed, rows, entrants, week)
        digests |= {unit_name(entrant, week): digest(scores[entrant.name]) for entrant in entrants}
        for entrant in entrants:
            figures[entrant.name][week.start.isoformat()] = _metrics(rows, scores[entrant.name], params)
    histories = {unit: [dict(step.metrics) for step in steps] for unit, steps in committed.items()}
    return Outcome(_trained_s(run), kills, figures, digests, histories)


def perfect(table: pl.DataFrame, weeks: Sequence[Split], params: EvaluateParams) -> dict[str, Mapping[str, float]]:
    """By week, what scores would reach that know the truth: no model can do better."""
    found: dict[str, Mapping[str, float]] = {}
    for week in weeks:
        rows = test_rows(table, week)
        found[week.start.isoformat()] = _metrics(rows, rows[LABEL].cast(pl.Float64), params)
    return found


def digest(scores: pl.Series) -> str:
    """SHA-256 over the bits of a column of scores, in the order of its rows."""
    return hashlib.sha256(np.ascontiguousarray(scores.to_numpy(), dtype=np.float64).tobytes()).hexdigest()


def _scores(
    run: Witness,
    committed: Mapping[str, Sequence[CommittedStep]],
    rows: pl.DataFrame,
    entrants: Sequence[Entrant],
    week: Split,
) -> pl.DataFrame:
    """P(fraud) of each row that judges by each model."""
    columns = []
    with threadpool_limits(limits=run.spec.threads):
        for entrant in entrants:
            last = committed[unit_name(entrant, week)][-1].checkpoint
            model = fitted_model(read_checkpoint(run.spec.place.store_url, last))
            given = features_of(rows, entrant.features)
            columns.append(pl.Series(entrant.name, probability(model, given), pl.Float64))
    return pl.DataFrame(columns)


def _metrics(rows: pl.DataFrame, scores: pl.Series, params: EvaluateParams) -> Mapping[str, float]:
    return judge(rows, scores.to_numpy(), **params.model_dump(exclude={"select_by"})).metrics


def _trained_s(run: Witness) -> float:
    """From the first step's begin to the last commit."""
    return max(c.at_s for c in run.committed()) - min(b.at_s for b in run.begun())
