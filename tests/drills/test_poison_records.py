"""Negative control: a lander that decodes on the way leaves out what it cannot read, and that is the reason named."""

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.poison_records import DRILL
from koboshi.drills.drill import Drill
from koboshi.drills.scenes.lander_run import LanderKind, named_by_the_ledger
from koboshi.drills.scenes.poison_scene import PoisonScene
from koboshi.drills.stage import perform
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]

DECODING = LanderKind((str(Path(__file__).with_name("decoding_lander.py")),), named_by_the_ledger)


def control() -> Drill[PoisonScene]:
    return dataclasses.replace(DRILL, scene=partial(PoisonScene, lander=DECODING))


def test_a_lander_that_decodes_is_refuted_for_that_reason(
    stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves out is lost for good: it is neither landed, nor among the dead letters."""
    running = stack_of("kafka")
    monkeypatch.syspath_prepend(running.project)
    report, _ = perform(control(), running.settings, [].append)
    assert report.verdict == "refuted"
    landed, counted = report.reasons
    assert re.search(r"partition \d: offset \d+ is missing", landed)
    assert re.search(r"offset \d+ \(undecodable\) is 0 dead letters, not 1", counted)
    held = {finding["check"] for finding in report.outcome["findings"] if finding["holds"]}
    assert {"kafka_works", "landing_ended", "refused_at_the_door", "bystanders_untouched"} <= held
