"""A run that cannot do everything, on real workers: what can be done is done, and the rest is named."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.errors import Permanent
from koboshi.events import in_words
from koboshi.ledger import steps
from koboshi.training import UnitSpec
from koboshi.training.attach import ensure_trained
from koboshi.training.driver.restart import MEMORY_TRIES
from koboshi.training.on_ray.ray_submit import RayJobs, submission
from tests.support.running_stack import RunningStack
from tests.support.trainings import chain_spec, events_of, ledger_of

pytestmark = pytest.mark.stack


def test_a_unit_without_memory_is_quarantined_on_a_cluster_that_is_too_small(
    stack_of: Callable[..., RunningStack], tmp_path: Path
) -> None:
    """A real MemoryError in a real worker, twice, each time in a process of its own; the other unit is trained, with as
    many workers as there is room for; the run ends as partial (65), and is not tried again."""
    stack = stack_of("ray")
    spec = chain_spec(tmp_path, steps={"a": 3, "b": 3}, project=stack.project)
    hungry = UnitSpec("tests.support.chain_unit:Hungry", {"seed": "a"}, 3)
    place = dataclasses.replace(spec.place, actors=99)
    spec = dataclasses.replace(spec, units={**spec.units, "a": hungry}, place=place)
    said: list[str] = []
    jobs = RayJobs(str(stack.settings.ray.jobs_url), stack.settings.ray.token_path)
    with pytest.raises(Permanent, match=r"1 of 2 units are trained: a was quarantined, step 2 .* MemoryError"):
        ensure_trained(
            spec,
            jobs,
            ledger_of(spec),
            submission(spec, stack.project / "ray_jobs" / "train.py"),
            in_words(said.append),
        )
    assert any(line.startswith("The cluster is too small for 99 workers at once") for line in said)
    assert [step.checkpoint.step for step in steps.committed(ledger_of(spec), spec.key, "b")] == [1, 2, 3]
    assert len(events_of(spec, "step failed")) == MEMORY_TRIES
    assert len({event["worker"] for event in events_of(spec, "worker retired")}) == MEMORY_TRIES
    assert len(events_of(spec, "job began")) == 1
