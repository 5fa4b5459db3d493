"""Negative control: a lander that lets its client commit loses what it held when the network falls silent."""

import dataclasses
import re
from collections.abc import Callable
from functools import partial

import pytest

from koboshi.drills.catalogue.network_cut_ingest import DRILL
from koboshi.drills.drill import Drill
from koboshi.drills.scenes.cut_ingest_scene import CutIngestScene
from koboshi.drills.stage import perform
from tests.drills import naive_lander
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def control() -> Drill[CutIngestScene]:
    return dataclasses.replace(DRILL, scene=partial(CutIngestScene, lander=naive_lander.KIND))


def test_a_lander_that_lets_its_client_commit_is_refuted_for_that_reason(
    stack_of: Callable[..., RunningStack],
) -> None:
    """It began again when it heard nothing; the client had committed what it held, and nobody reads that again."""
    report, _ = perform(control(), stack_of("kafka").settings, [].append)
    assert report.verdict == "refuted"
    acknowledged, landed = report.reasons
    assert re.search(r"[1-9][\d,]* are acknowledged, and lost, first record \d+", acknowledged)
    assert re.search(r"partition \d: offset \d+ is missing", landed)
    held = {finding["check"] for finding in report.outcome["findings"] if finding["holds"]}
    assert {"kafka_works", "landing_ended", "gave_up_in_time", "bystanders_untouched"} <= held
