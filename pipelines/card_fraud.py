"""Card fraud, declared: the stages from raw records to a judged set of candidates, and what is served of them.

dvc.yaml is written from this module (`koboshi project sync`); `python -m pipelines.card_fraud STAGE` runs one stage. A
stage imports what it needs when it runs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import koboshi

if TYPE_CHECKING:
    import polars as pl

project = koboshi.Project.find()


@project.stage(deps=["cut.json"])
def snapshot(out: Path) -> None:
    """The pinned records become rows, one for each transaction id; what cannot be decoded is kept and counted."""
    from pipelines.snapshot import build_snapshot

    for topic, count in build_snapshot(project.batches(), out).items():
        sys.stdout.write(f"{topic}: {count}\n")


@project.stage(deps=["snapshot"], params=["validate"])
def validate(out: Path) -> None:
    """All violations at once, with counts and examples; ends the pipeline when there are too many."""
    from pipelines.validate import ValidateParams, validated

    validated(project.dataset("snapshot"), project.params("validate", ValidateParams), out)


@project.stage(deps=["snapshot", "validate"], params=["features"])
def features(out: Path) -> None:
    """Labels and the fifteen published features, the same to the bit in every clone."""
    from pipelines.columns import TABLE
    from pipelines.features import FeatureParams, features_of_snapshot

    params = project.params("features", FeatureParams)
    table = features_of_snapshot(project.dataset("snapshot"), project.dataset("validate"), params)
    koboshi.write_table(table, out / TABLE)


@project.stage(deps=["features"], params=["split"])
def split(out: Path) -> None:
    """The weeks that candidates learn from, watch and are judged on."""
    import polars as pl

    from pipelines.columns import TABLE
    from pipelines.splits import Split, write_weeks

    write_weeks(pl.read_parquet(project.dataset("features").path(TABLE)), project.params("split", Split), out)


def candidates() -> Mapping[str, koboshi.DeclaredUnit]:
    """Those that params.yaml names."""
    from pipelines.candidates import TrainParams, declared

    return declared(project.params("train", TrainParams))


project.train(
    on="split",
    units=candidates,
    threads=lambda: int(project.params("train")["threads"]),
    max_drop=lambda: float(project.params("promote")["max_drop"]),
    params=["train"],
)


@project.judge(by=lambda: str(project.params("evaluate")["select_by"]), params=["evaluate"])
def judge(models: Mapping[str, Any], rows: "pl.DataFrame", out: Path) -> Mapping[str, Mapping[str, float]]:
    """Each candidate on the test week, by the published protocol; its curves as tables and as pictures."""
    from pipelines.judging import EvaluateParams, judgements
    from pipelines.pictures import draw, write_curves

    found = judgements(models, rows, project.params("evaluate", EvaluateParams))
    write_curves(found, out)
    for name, judgement in found.items():
        draw(name, judgement, out / name)
    return {name: judgement.metrics for name, judgement in found.items()}


if __name__ == "__main__":
    project.main()
