"""dataset-flipped, and its negative control: a reader that trusts DVC's cache."""

from pathlib import Path

import pytest

from koboshi.drills.datasets.dataset_flipped import DRILL
from tests.support.drill_reports import controlled, refuted_only_by, run_by_command
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.parts


def test_flipped_bytes_are_noticed_and_made_good_and_that_is_proved(on_kafka: RunningStack) -> None:
    """I2, I4: by the command that a user types."""
    measures = run_by_command(on_kafka, DRILL.name)["outcome"]["evidence"]["measures"]
    assert (measures["lost"], measures["doubled"]) == (0, 0)
    assert 0 < measures["detected_after_s"] < measures["recovered_after_s"]


def test_a_reader_that_trusts_the_cache_is_refuted_for_that_reason(on_kafka: RunningStack) -> None:
    """The changed number is in its total, and nothing has failed; everything else holds."""
    reader = (str(Path(__file__).with_name("trusting_total.py")),)
    said = refuted_only_by(controlled(DRILL, on_kafka, reader=reader), "rotten_object_is_refused")
    assert said.startswith('the flipped byte reached the reader: total {"count": 20000, ')
