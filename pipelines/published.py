"""What the Fraud Detection Handbook reports for the same simulator, split and metrics (default and tuned models)."""

from collections.abc import Iterator, Mapping

PUBLISHED = {
    "logistic regression": (0.871, 0.606, 0.291),
    "decision tree, depth 2": (0.763, 0.496, 0.241),
    "random forest": (0.867, 0.658, 0.287),
    "XGBoost": (0.862, 0.639, 0.273),
    "random forest, tuned": (0.870, 0.678, 0.299),
    "XGBoost, tuned": (0.869, 0.687, 0.303),
    "balanced bagging, tuned": (0.879, 0.680, 0.305),
}
COLUMNS = ("auc_roc", "average_precision", "card_precision")


def comparison(candidates: Mapping[str, Mapping[str, float]]) -> str:
    """The candidates' metrics beside the published ones, as a table of text."""
    return "".join(f"{line}\n" for line in _lines(candidates))


def _lines(candidates: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield f"{'':<36}" + "".join(f"{name:>19}" for name in COLUMNS)
    for name, metrics in candidates.items():
        yield f"{name:<36}" + "".join(f"{metrics[column]:>19.3f}" for column in COLUMNS)
    for name, values in PUBLISHED.items():
        yield f"{f'published: {name}':<36}" + "".join(f"{value:>19.3f}" for value in values)
