"""Streams from the simulator and from files: what is sent, and how bad input is refused."""

import datetime
from contextlib import nullcontext

import polars as pl
import pytest

from koboshi.datasets.params import load_params
from koboshi.errors import BadInput
from koboshi.files import sha256_of
from pipelines import stream_sources
from pipelines.simulator import Simulation, simulate
from pipelines.stream_events import Disturbance, as_stream, stream_name, with_reports
from pipelines.stream_sources import StreamParams, check_not_ahead, replayed, simulated

SIZE = Simulation(seed=3, customers=60, terminals=80, days=30)
DAY = datetime.date(2018, 4, 10)
HEADER = "transaction_id,tx_datetime,customer_id,terminal_id,amount,is_fraud"


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(stream_sources, "Simulation", lambda **_: SIZE)


@pytest.fixture(scope="module")
def rows():
    return simulate(SIZE).with_columns(amount=(pl.col("amount_cents") / 100).round(2)).drop("amount_cents", "scenario")


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


def test_a_file_of_the_published_columns_gives_the_same_records(rows, tmp_path):
    """As the published files have them: capitals, a blank between date and time, an index and columns of their own."""
    path, plain = tmp_path / "published.csv", tmp_path / "cards.csv"
    rows.write_csv(plain)
    published = rows.select(
        pl.int_range(pl.len()).alias(""),
        TRANSACTION_ID="transaction_id",
        TX_DATETIME=pl.col("tx_datetime").dt.strftime("%Y-%m-%d %H:%M:%S"),
        CUSTOMER_ID="customer_id",
        TERMINAL_ID="terminal_id",
        TX_AMOUNT="amount",
        TX_TIME_SECONDS=pl.col("tx_datetime").dt.epoch("s"),
        TX_FRAUD=pl.col("is_fraud").cast(pl.Int8),
        TX_FRAUD_SCENARIO=pl.lit(0),
    )
    published.write_csv(path)
    assert replayed(path, seed=5).events.equals(replayed(plain, seed=5).events)


@pytest.mark.parametrize("kind", [pl.Categorical(), pl.String(), pl.Int8(), pl.Float64()])
def test_labels_of_any_type_give_the_same_records(rows, tmp_path, kind):
    """Categories are their texts, 0 and 1 are numbers of any type."""
    plain, other = tmp_path / "cards.parquet", tmp_path / "other.parquet"
    rows.write_parquet(plain)
    to_text = kind in (pl.String, pl.Categorical)
    label = pl.col("is_fraud").cast(pl.String if to_text else pl.Int8).cast(kind)
    rows.with_columns(label).write_parquet(other)
    assert replayed(other, seed=5).events.equals(replayed(plain, seed=5).events)


def test_rows_need_no_order(rows, tmp_path):
    """A file upside down gives the same records."""
    straight, reverse = tmp_path / "cards.parquet", tmp_path / "reverse.parquet"
    rows.write_parquet(straight)
    rows.reverse().write_parquet(reverse)
    assert replayed(reverse, seed=5).events.equals(replayed(straight, seed=5).events)


def test_the_name_of_a_stream_follows_from_the_file_and_from_the_form_of_its_dates(tmp_path):
    """A file that was sent before goes on where it was; another form of dates is another stream."""
    path = tmp_path / "cards.csv"
    path.write_text(f"{HEADER}\n1,2018-07-01,2,3,4.5,1\n")
    wanted = stream_name(file=sha256_of(path), seed=5, duplicates=0.0, garbage=0.0)
    assert replayed(path, 5).name == wanted
    assert replayed(path, 5, date_format="%Y-%m-%d").name != wanted


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2018-07-01,2,3,4,NaN", r"is_fraud: .* true, false, 1 or 0: line 2 'NaN'"),
        ("1,2018-07-01,2,3,4,0.5", r"is_fraud: .* true, false, 1 or 0: line 2 '0.5'"),
        ("1,2018-07-01,2,3,4,2", r"is_fraud: .* true, false, 1 or 0: line 2 '2'"),
        ("1.7,2018-07-01,2,3,4,0", r"transaction_id: .* a whole number: line 2 '1.7'"),
        ("1,2018-07-01,2,,4,0", r"terminal_id: .* a value in each row: line 2 \(empty\)"),
        (
            "1,07/01/2018,2,3,4,0",
            r"tx_datetime: .* 2018-07-01T12:30:00 \(ISO 8601\), .* --date-format: line 2 '07/01/2018'",
        ),
        ("1,not at all,2,3,4,0", r"tx_datetime: .*: line 2 'not at all'"),
        ("1,1969-12-31,2,3,4,0", r"tx_datetime: .* from 1970-01-01 00:00:00 to .*: line 2 '1969-12-31'"),
        ("1,9999-01-01,2,3,4,0", r"tx_datetime: .* Kafka refuses records that lie further ahead: line 2 '9999-01-01'"),
        ("1,2018-07-01,2,3,12.345,0", r"amount: .* at most 2 decimal places, .*: line 2 '12.345'"),
        ("1,2018-07-01,2,3,1e18,0", r"amount: .* from 0.00 to 92,233,720,368,547,758.07: line 2 '1e18'"),
        ("1,2018-07-01,2,3,-3.0,0", r"amount: .* from 0.00 to .*: line 2 '-3.0'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_line(tmp_path, line, said):
    path = tmp_path / "cards.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    with pytest.raises(BadInput, match=said):
        replayed(path, seed=5)


def test_whole_amounts_and_then_others_are_read(tmp_path):
    """What stands in the first hundred rows says nothing of those behind them."""
    path = tmp_path / "cards.csv"
    lines = [f"{number},2018-07-01,2,3,{10 if number < 100 else 10.5},0" for number in range(101)]
    path.write_text("\n".join([HEADER, *lines]))
    assert b'"amount_cents":1050}' in replayed(path, seed=5).events["value"][-1]


def test_dates_of_another_form_are_read_with_it(tmp_path):
    path = tmp_path / "cards.csv"
    path.write_text(f"{HEADER}\n1,07/01/2018 13:30,2,3,4.5,0\n")
    events = replayed(path, 5, date_format="%m/%d/%Y %H:%M").events
    assert b'"tx_datetime":"2018-07-01T13:30:00"' in events["value"][0]


@pytest.mark.parametrize(("minutes", "fits"), [(-60, True), (59, True), (61, False)])
def test_a_transaction_may_lie_an_hour_ahead(tmp_path, minutes, fits):
    """As far as a broker takes it by default."""
    path = tmp_path / "cards.csv"
    time = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    path.write_text(f"{HEADER}\n1,{time:%Y-%m-%dT%H:%M:%S},2,3,4.5,0\n")
    with nullcontext() if fits else pytest.raises(BadInput, match="line 2"):
        replayed(path, seed=5)


def test_a_report_that_would_lie_in_the_future_is_refused(tmp_path):
    """A fraud of the last hours is reported in a day at the earliest."""
    path = tmp_path / "cards.csv"
    time = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=3)
    path.write_text(f"{HEADER}\n1,2018-07-01,2,3,4.5,1\n2,{time:%Y-%m-%dT%H:%M:%S},2,3,4.5,1\n")
    with pytest.raises(
        BadInput, match=r"is_fraud: 1 value refused, expected a report, 1 to 7 days after .*: line 3 '20"
    ):
        replayed(path, seed=5)


def test_a_simulation_that_reaches_into_the_future_is_refused():
    last = datetime.date(2018, 4, 1) + datetime.timedelta(days=30_000)
    with pytest.raises(BadInput, match="the simulation reaches to"):
        check_not_ahead(pl.DataFrame({"tx_datetime": [last], "reported_at": [None]}).cast(pl.Datetime("ms")))


@pytest.mark.parametrize("name", ["cards.xlsx", "nothing.csv", "broken.parquet", "empty.csv", "folder.csv"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "empty.csv").write_text(HEADER)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match=name):
        replayed(tmp_path / name, seed=5)
