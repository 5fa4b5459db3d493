"""network-cut-serving, and its negative control: a gateway that waits for whoever it has chosen."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from koboshi.drills.catalogue.network_cut_serving import DRILL
from koboshi.drills.scenes.cut_replica_scene import CutReplicaScene
from koboshi.drills.scenes.envoy_gateway import own_gateway
from koboshi.drills.stage import perform
from tests.support.drill_reports import refuted_only_by
from tests.support.running_stack import RunningStack
from tests.support.tiny_champion import tiny_champion
from tests.support.unforgiving_gateway import render_without_retries

pytestmark = [pytest.mark.stack, pytest.mark.drills]


@pytest.fixture(scope="module")
def served(stack_of: Callable[..., RunningStack]) -> Iterator[RunningStack]:
    with tiny_champion(stack_of("mlflow", "replicas", "gateway")) as running:
        yield running


def test_a_gateway_that_only_waits_is_refuted_for_that_reason(served: RunningStack) -> None:
    """What went into the silent network is given up by the gateway after ten seconds."""
    gateway = partial(own_gateway, render=render_without_retries)
    drill = dataclasses.replace(DRILL, scene=partial(CutReplicaScene, gateway=gateway, requests=2_500))
    report, _path = perform(drill, served.settings, lambda _: None)
    assert "504: " in refuted_only_by(report, "all_answered")
    assert report.measures["wrong"] == 0
