"""Curves of judgements: as tables for `dvc plots`, and as pictures for people who look at a run in MLflow."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.judging import Judgement

CURVES = ("roc", "precision_recall", "card_precision", "calibration")


def write_curves(judgements: Mapping[str, Judgement], out: Path) -> None:
    """For each curve one table over all candidates, named in the first column."""
    for curve in CURVES:
        curve_of(judgements, curve).write_json(out / f"{curve}.json")


def curve_of(judgements: Mapping[str, Judgement], curve: str) -> pl.DataFrame:
    """One curve of all candidates."""
    tables: list[pl.DataFrame] = [
        getattr(judgement, curve).select(pl.lit(name).alias("candidate"), pl.all())
        for name, judgement in sorted(judgements.items())
    ]
    return pl.concat(tables)


def draw(name: str, judgement: Judgement, folder: Path) -> None:
    """One PNG for each curve of a candidate, by the curve's name."""
    folder.mkdir(parents=True, exist_ok=True)
    areas, days = judgement.metrics, judgement.card_precision.select("day", "card_precision")
    calibration = judgement.calibration.select("predicted", "observed")
    _line(judgement.roc, f"{name}: area under ROC {areas['auc_roc']:.3f}", folder / "roc.png", diagonal=True)
    precision = f"{name}: average precision {areas['average_precision']:.3f}"
    _line(judgement.precision_recall, precision, folder / "precision_recall.png")
    _line(days, f"{name}: card precision {areas['card_precision']:.3f}", folder / "card_precision.png")
    score = f"{name}: Brier score {areas['brier_score']:.5f}"
    _line(calibration, score, folder / "calibration.png", diagonal=True)


def _line(table: pl.DataFrame, title: str, path: Path, *, diagonal: bool = False) -> None:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    x, y = table.columns
    axes.plot(table[x].to_list(), table[y].to_list(), marker="." if table.height < 30 else "")
    if diagonal:
        axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(title=title, xlabel=x.replace("_", " "), ylabel=y.replace("_", " "), ylim=(0, 1.02))
    if x == "day":
        figure.autofmt_xdate()
    figure.savefig(path)
