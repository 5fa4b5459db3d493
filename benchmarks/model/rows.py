"""The whole simulated stream as one sealed table: labels and features as the features stage has them, and more."""

import datetime
from pathlib import Path

import polars as pl

from benchmarks.model.more_features import more_features
from koboshi.datasets.build import building, open_verified
from koboshi.formats.manifest import DatasetRef
from koboshi.formats.polars_tables import write_table
from pipelines.columns import TABLE
from pipelines.features import FeatureParams, build_features, label
from pipelines.schemas import TRANSACTION_SCHEMA
from pipelines.simulator import Simulation, simulate
from pipelines.stream_events import with_reports


def write_rows(
    folder: Path, simulation: Simulation, params: FeatureParams, first: datetime.date, last: datetime.date
) -> DatasetRef:
    """Publish the features of the days `first` to `last`, of a stream that is simulated from its own first day on.

    What the pipeline has of Kafka is the same: transactions, and for each fraud a report, however late it comes.
    """
    stream = with_reports(simulate(simulation), simulation.seed)
    transactions = stream.select(pl.col(name).cast(kind) for name, kind in TRANSACTION_SCHEMA.items())
    reports = stream.filter(pl.col("reported_at").is_not_null()).select("transaction_id", "reported_at")
    labelled = label(transactions, reports)
    table = build_features(labelled, params).hstack(more_features(labelled, params.label_delay_days))
    with building(folder) as fresh:
        write_table(table.filter(pl.col("tx_datetime").dt.date().is_between(first, last)), fresh / TABLE)
    return DatasetRef(str(folder), open_verified(folder).sha256)
