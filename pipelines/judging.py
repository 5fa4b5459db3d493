"""How good a candidate is, by the published protocol, on the rows of the test week. Pure: same input, same bits.

Areas under the curves count transactions. Card precision counts cards, as a team of investigators would: each day the
cards with the highest scores are looked into; those that were compromised are caught and leave the game.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve, roc_auc_score, roc_curve

from koboshi import BadInput, Params
from pipelines.candidates import features_of, probability
from pipelines.columns import LABEL

Floats = NDArray[np.float64]


class EvaluateParams(Params):
    """The block `evaluate` of params.yaml; `select_by` is the metric that decides, the higher the better."""

    select_by: Literal["auc_roc", "average_precision", "card_precision"]
    top_cards: int = Field(ge=1)
    calibration_bins: int = Field(ge=2)
    curve_points: int = Field(ge=2)


@dataclasses.dataclass(frozen=True, slots=True)
class Day:
    """One test day: cards that were looked into, really compromised cards among them, and among all of the day."""

    day: datetime.date
    looked_into: int
    caught: int
    compromised: int

    @property
    def precision(self) -> float:
        """The share of the cards looked into that were compromised."""
        return self.caught / self.looked_into


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate's metrics, and the tables from which its curves are drawn."""

    metrics: dict[str, float]
    roc: pl.DataFrame
    precision_recall: pl.DataFrame
    card_precision: pl.DataFrame
    calibration: pl.DataFrame


def judgements(models: Mapping[str, Any], rows: pl.DataFrame, params: EvaluateParams) -> dict[str, Judgement]:
    """Judge each model on the rows of the test week. Raises `BadInput` when these cannot tell good from bad."""
    frauds = int(rows[LABEL].sum())
    if not 0 < frauds < rows.height:
        raise BadInput(
            f"the test week has {rows.height} rows, {frauds} of them fraud, and nobody can be judged on that: stream "
            "more days, or set `split` in params.yaml."
        )
    given, numbers = features_of(rows), params.model_dump(exclude={"select_by"})
    return {name: judge(rows, probability(model, given), **numbers) for name, model in models.items()}


def judge(rows: pl.DataFrame, scores: Floats, *, top_cards: int, calibration_bins: int, curve_points: int) -> Judgement:
    """Judge the scores P(fraud) of these rows, which have frauds among them and genuine ones.

    `curve_points` bounds the rows of a curve's table; the areas are those of the full curves.
    """
    frauds = rows[LABEL].to_numpy()
    days = card_precision(rows, scores, top_cards)
    metrics = {
        "auc_roc": float(roc_auc_score(frauds, scores)),
        "average_precision": float(average_precision_score(frauds, scores)),
        "card_precision": sum(day.caught for day in days) / sum(day.looked_into for day in days),
        "brier_score": float(brier_score_loss(frauds, scores)),
    }
    return Judgement(
        metrics,
        _roc(frauds, scores, curve_points),
        _precision_recall(frauds, scores, curve_points),
        pl.DataFrame([{**dataclasses.asdict(day), "card_precision": day.precision} for day in days]),
        _calibration(frauds, scores, calibration_bins),
    )


def card_precision(rows: pl.DataFrame, scores: Floats, top_cards: int) -> list[Day]:
    """Day by day: the `top_cards` cards of the highest score among those not yet caught (of a tie, the smaller id).

    A day's precision divides by `top_cards` however few cards there are, as the published one does.
    """
    caught: set[int] = set()
    days = []
    for day, cards in _cards_by_day(rows, scores):
        left = cards.filter(~pl.col("customer_id").is_in(list(caught)))
        top = left.sort("score", "customer_id", descending=[True, False]).head(top_cards)
        found = top.filter(pl.col(LABEL) == 1)["customer_id"].to_list()
        days.append(Day(day, top_cards, len(found), int(left[LABEL].sum())))
        caught.update(found)
    return days


def _cards_by_day(rows: pl.DataFrame, scores: Floats) -> list[tuple[datetime.date, pl.DataFrame]]:
    """For each day, each card with its highest score and whether any of its transactions is fraud."""
    cards = (
        rows.select("customer_id", LABEL, day=pl.col("tx_datetime").dt.date())
        .with_columns(score=pl.Series(scores))
        .group_by("day", "customer_id")
        .agg(pl.col("score").max(), pl.col(LABEL).max())
        .sort("day", "customer_id")
    )
    return [(part["day"][0], part) for part in cards.partition_by("day", maintain_order=True)]


def _roc(frauds: Any, scores: Floats, points: int) -> pl.DataFrame:
    false_positives, true_positives, _ = roc_curve(frauds, scores)
    return _thinned({"false_positive_rate": false_positives, "true_positive_rate": true_positives}, points)


def _precision_recall(frauds: Any, scores: Floats, points: int) -> pl.DataFrame:
    """Only where recall changes: between two frauds precision just falls."""
    precision, recall, _ = precision_recall_curve(frauds, scores)
    changes = np.flatnonzero(np.diff(recall, prepend=2.0))
    return _thinned({"recall": recall[changes], "precision": precision[changes]}, points)


def _thinned(columns: dict[str, Floats], points: int) -> pl.DataFrame:
    length = len(next(iter(columns.values())))
    chosen = np.unique(np.linspace(0, length - 1, points).round().astype(int))
    return pl.DataFrame({name: values[chosen] for name, values in columns.items()})


def _calibration(frauds: Any, scores: Floats, bins: int) -> pl.DataFrame:
    """In bins of equal width: the mean score and the share of frauds; empty bins are left out."""
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    rows, found = np.bincount(place, minlength=bins), np.bincount(place, weights=frauds, minlength=bins)
    total = np.bincount(place, weights=scores, minlength=bins)
    filled = rows > 0
    return pl.DataFrame(
        {
            "predicted": total[filled] / rows[filled],
            "observed": found[filled] / rows[filled],
            "transactions": rows[filled],
        }
    )
