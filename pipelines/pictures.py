"""Pictures of a judgement, for people who look at a run in MLflow."""

from pathlib import Path

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.judging import Judgement


def draw(name: str, judgement: Judgement, folder: Path) -> dict[str, Path]:
    """One PNG for each curve of a candidate, by the curve's name."""
    areas = judgement.metrics
    return {
        "roc": _line(
            judgement.roc, f"{name}: area under ROC {areas['auc_roc']:.3f}", folder / f"{name}-roc.png", diagonal=True
        ),
        "precision_recall": _line(
            judgement.precision_recall,
            f"{name}: average precision {areas['average_precision']:.3f}",
            folder / f"{name}-precision-recall.png",
        ),
        "card_precision": _line(
            judgement.card_precision.select("day", "card_precision"),
            f"{name}: card precision {areas['card_precision']:.3f}",
            folder / f"{name}-card-precision.png",
        ),
        "calibration": _line(
            judgement.calibration.select("predicted", "observed"),
            f"{name}: Brier score {areas['brier_score']:.5f}",
            folder / f"{name}-calibration.png",
            diagonal=True,
        ),
    }


def _line(table: pl.DataFrame, title: str, path: Path, *, diagonal: bool = False) -> Path:
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
    return path
