"""Negative control: where commits do not look at the token, the zombie commits, and that is the reason named."""

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.zombie_lander import DRILL
from koboshi.drills.drill import Drill
from koboshi.drills.scenes.lander_run import LanderKind, named_by_the_ledger
from koboshi.drills.scenes.landing_scene import LandingScene
from koboshi.drills.stage import perform
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]

UNGUARDED = LanderKind((str(Path(__file__).with_name("unguarded_lander.py")),), named_by_the_ledger)


def control() -> Drill[LandingScene]:
    return dataclasses.replace(DRILL, scene=partial(DRILL.scene, lander=UNGUARDED))


def test_a_lander_that_trusts_itself_is_refuted_for_that_reason(stack_of: Callable[..., RunningStack]) -> None:
    report, _ = perform(control(), stack_of("kafka").settings, [].append)
    assert report.verdict == "refuted"
    (reason,) = report.reasons
    assert re.fullmatch(r"partition 0: \[3000, 6000\) was committed under token 2, after token 3 .*", reason)
    (strike,) = report.outcome["strikes"]
    assert strike["took"]
