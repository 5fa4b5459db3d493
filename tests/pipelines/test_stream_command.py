"""The verb's options: what cannot be meant is refused as usage, and a dry run says what would be sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from koboshi.errors import BadInput
from pipelines import stream_sources
from pipelines.simulator import Simulation
from pipelines.stream_command import app

HEADER = "transaction_id,tx_datetime,customer_id,terminal_id,amount,is_fraud"


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """A file of three transactions, one of them reported; the project's params.yaml has the seed. No Kafka is there."""
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setenv("KOBOSHI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    path = tmp_path / "cards.csv"
    lines = [f"{number},0{number}.07.2018 12:30,2,3,4.5,{int(number == 2)}" for number in (1, 2, 3)]
    path.write_text("\n".join([HEADER, *lines]))
    return path


def test_a_dry_run_says_what_would_be_sent_and_asks_nothing_of_kafka(cards):
    """Records by topic, from the first time to the last."""
    words = ["replay", str(cards), "--date-format", "%d.%m.%Y %H:%M", "--topic-prefix", "trial.", "--dry-run"]
    done = CliRunner().invoke(app, words)
    first, transactions, reports = done.stdout.splitlines()
    assert (done.exit_code, first.startswith("would send 4 records of stream ")) == (0, True)
    assert first.endswith("; nothing was sent, Kafka was not asked.")
    assert transactions.split() == [
        "trial.transactions",
        *("3", "records,"),
        *("2018-07-01", "12:30:00", "to"),
        *("2018-07-03", "12:30:00"),
    ]
    assert reports.split()[:3] == ["trial.fraud-reports", "1", "records,"]


def test_a_dry_run_counts_what_the_limit_leaves(cards):
    words = ["replay", str(cards), "--date-format", "%d.%m.%Y %H:%M", "--dry-run", "--limit", "1"]
    first, transactions, reports = CliRunner().invoke(app, words).stdout.splitlines()
    assert first.startswith("would send 1 records (of 4) of stream ")
    assert (transactions.split()[1], reports.split()) == ("1", ["fraud-reports", "0", "records"])


def test_a_dry_run_of_a_bad_file_is_refused_as_the_run_is(cards):
    done = CliRunner().invoke(app, ["replay", str(cards), "--dry-run"])
    assert isinstance(done.exception, BadInput)
    assert "tx_datetime: 3 values refused" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--date-format", "%H:%M"], "gives no year"),
        (["--date-format", "%d.%m.%Y %Q"], "has %Q"),
        (["--topic-prefix", "a b."], "letters, digits"),
        (["--topic-prefix", "x" * 240], "249 at most"),
        (["--rate", "inf"], "--rate"),
        (["--rate", "nan"], "--rate"),
        (["--duplicate-share", "nan"], "--duplicate-share"),
    ],
)
def test_options_that_cannot_be_meant_are_usage_errors(cards, words, said):
    """Exit code 2, and the option is named."""
    done = CliRunner().invoke(app, ["replay", str(cards), "--dry-run", *words], env={"COLUMNS": "200", "TERM": "dumb"})
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_simulation_has_a_dry_run_too(cards, monkeypatch):
    size = Simulation(seed=3, customers=60, terminals=80, days=30)
    monkeypatch.setattr(stream_sources, "Simulation", lambda **_: size)
    done = CliRunner().invoke(app, ["simulate", "--from", "2018-04-10", "--to", "2018-04-10", "--dry-run"])
    assert done.exit_code == 0
    assert "transactions" in done.stdout.splitlines()[1]
