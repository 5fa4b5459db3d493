"""`koboshi score`: a dataset, scored by a registered version."""

from pathlib import Path
from typing import Annotated

import typer

from koboshi.settings import load_settings, required

PARTITION_ROWS = 100_000


def score(
    dataset: Annotated[Path, typer.Option(help="The dataset's folder; all its Parquet files are scored.")],
    to: Annotated[Path, typer.Option(help="The folder for the scores; it gets a manifest.")],
    model: Annotated[str | None, typer.Option(help="The registered model.", show_default="serving.model")] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="The model's version.", show_default="the version that the slot points at")
    ] = None,
    slot: Annotated[
        str | None, typer.Option(help="The slot, an alias in MLflow; looked up once.", show_default="serving.slot")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to copy beside the scores, such as an id (repeatable).")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows of a partition, at most.")] = PARTITION_ROWS,
) -> None:
    """Score a dataset on Ray, in parallel; each score equals the answer of a replica.

    Safe to run again and by many at once: the same dataset and version are scored once. A killed worker costs the
    partition that it was scoring. Interrupted (Ctrl-C), the job goes on, and the next run attaches to it.

    Example: koboshi score --dataset data/features --to scores --keep id
    """
    from koboshi.registry.mlflow_registry import MlflowRegistry
    from koboshi.scoring import batch
    from koboshi.scoring.batch import find_version
    from koboshi.sinks.terminal import to_terminal
    from koboshi.training.on_ray.ray_submit import RayJobs

    settings = load_settings()
    jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), model or settings.serving.model)
    found = find_version(registry, version, slot or settings.serving.slot, settings.state_dir / "serving" / "models")
    order = batch.Order(dataset.resolve(), found, to.resolve(), tuple(keep or ()), rows)
    batch.score(order, settings.run_config, jobs, settings.script(settings.scoring.job), to_terminal)
