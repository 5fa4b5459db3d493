"""Streams from the simulator and from files: what is sent, and how bad input is refused."""

import datetime

import polars as pl
import pytest

from koboshi.datasets.params import load_params
from koboshi.errors import BadInput
from pipelines import stream_sources
from pipelines.simulator import Simulation, simulate
from pipelines.stream_events import Disturbance, as_stream, with_reports
from pipelines.stream_sources import StreamParams, read_transactions, replayed, simulated

SIZE = Simulation(seed=3, customers=60, terminals=80, days=30)
DAY = datetime.date(2018, 4, 10)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(stream_sources, "Simulation", lambda **_: SIZE)


@pytest.fixture(scope="module")
def rows():
    return simulate(SIZE).with_columns(amount=pl.col("amount_cents") / 100).drop("amount_cents", "scenario")


def test_the_projects_params_are_the_demo_stream():
    """58 days, with a seed that is written down."""
    params = load_params(stream_sources.Path(__file__).parents[2], "stream", StreamParams)
    assert (params.last - params.first).days + 1 == 58


def test_reports_of_the_last_day_are_in_the_stream_though_they_come_later(small):
    """Every transaction of the window has its report, however late."""
    stream = simulated(StreamParams(seed=3, days=30, **{"from": DAY, "to": DAY}))
    whole = with_reports(simulate(SIZE), 3).filter(pl.col("tx_datetime").dt.date() == DAY)
    counts = dict(stream.events["topic"].value_counts().iter_rows())
    assert counts == {0: len(whole), 1: whole["is_fraud"].sum()}


def test_a_window_without_transactions_is_refused(small):
    far = datetime.date(2030, 1, 1)
    with pytest.raises(BadInput, match="no transactions from 2030-01-01 to 2030-01-01"):
        simulated(StreamParams(**{"from": far, "to": far}))


def test_streams_of_other_options_have_other_names(small):
    params = StreamParams(seed=3, days=30, **{"from": DAY, "to": DAY})
    names = {simulated(params).name, simulated(params, 0.1).name, simulated(params, 0.0, 0.1).name}
    assert len(names) == 3


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_replayed_file_gives_the_records_of_its_transactions(rows, tmp_path, suffix):
    """Parquet and CSV come out as the simulation they were written from, to the byte."""
    path = tmp_path / f"cards.{suffix}"
    rows.write_csv(path) if suffix == "csv" else rows.write_parquet(path)
    wanted = as_stream("any", with_reports(simulate(SIZE), 5), Disturbance(5)).events
    assert replayed(path, seed=5).events.equals(wanted)


def test_rows_need_no_order(rows, tmp_path):
    path = tmp_path / "cards.parquet"
    rows.reverse().write_parquet(path)
    assert read_transactions(path)["transaction_id"].is_sorted()


@pytest.mark.parametrize("column", stream_sources.COLUMNS)
def test_a_missing_column_is_named(rows, tmp_path, column):
    path = tmp_path / "cards.csv"
    rows.drop(column).write_csv(path)
    with pytest.raises(BadInput, match=rf"has no column {column}"):
        read_transactions(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("transaction_id", "seven"),
        ("tx_datetime", "yesterday"),
        ("customer_id", None),
        ("amount", "-3.0"),
        ("amount", "NaN"),
        ("is_fraud", "perhaps"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_column(rows, tmp_path, column, value):
    path = tmp_path / "cards.csv"
    text = rows.head(5).with_columns(pl.all().cast(pl.String))
    changed = text.with_columns(
        pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(value)).otherwise(column).alias(column)
    )
    changed.write_csv(path)
    with pytest.raises(BadInput, match=rf"column {column} has 1 values"):
        read_transactions(path)


def test_an_id_that_comes_twice_is_refused(rows, tmp_path):
    path = tmp_path / "cards.parquet"
    pl.concat([rows, rows.head(1)]).write_parquet(path)
    with pytest.raises(BadInput, match="transaction_id has the same id twice"):
        read_transactions(path)


@pytest.mark.parametrize("name", ["cards.xlsx", "nothing.csv", "broken.parquet"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match=name):
        read_transactions(tmp_path / name)
