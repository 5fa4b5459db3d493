"""Negative control: where commits do not look at the token, the zombie commits, and that is the reason named."""

import re
from pathlib import Path

import pytest

from koboshi.drills.ingest.lander_run import LanderKind, named_by_the_ledger
from koboshi.drills.ingest.zombie_lander import DRILL
from tests.support.drill_reports import controlled
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]

UNGUARDED = LanderKind((str(Path(__file__).with_name("unguarded_lander.py")),), named_by_the_ledger)


def test_a_lander_that_trusts_itself_is_refuted_for_that_reason(on_kafka: RunningStack) -> None:
    report = controlled(DRILL, on_kafka, lander=UNGUARDED)
    assert report.outcome.verdict == "refuted"
    (reason,) = report.outcome.reasons
    assert re.fullmatch(r"partition 0: \[3000, 6000\) was committed under token 2, after token 3 .*", reason)
    (injection,) = report.outcome.injections
    assert injection.took
