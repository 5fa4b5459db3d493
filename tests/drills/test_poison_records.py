"""Negative control: a lander that decodes on the way leaves out what it cannot read, and that is the reason named."""

import re
from pathlib import Path

import pytest

from koboshi.drills.ingest.lander_run import LanderKind, named_by_the_ledger
from koboshi.drills.ingest.poison_records import DRILL
from tests.support.drill_reports import controlled, held
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]

DECODING = LanderKind((str(Path(__file__).with_name("decoding_lander.py")),), named_by_the_ledger)


def test_a_lander_that_decodes_is_refuted_for_that_reason(on_kafka: RunningStack) -> None:
    """What it leaves out is lost for good: it is neither landed, nor among the dead letters."""
    report = controlled(DRILL, on_kafka, lander=DECODING)
    assert report.outcome.verdict == "refuted"
    landed, counted = report.outcome.reasons
    assert re.search(r"partition \d: offset \d+ is missing", landed)
    assert re.search(r"offset \d+ \(undecodable\) is 0 dead letters, not 1", counted)
    assert {"kafka_works", "landing_ended", "refused_at_the_door", "invariant_state_kept"} <= held(report)
