"""What breaks off with Ray itself may pass: the job ends with 75, and another attempt goes on from its steps."""

from pathlib import Path

import pytest
from ray.exceptions import RayError, RaySystemError

from koboshi.errors import Unavailable
from koboshi.events import Sink
from koboshi.training.on_ray import ray_pool
from tests.support.trainings import chain_spec


@pytest.mark.parametrize("error", [RaySystemError("the head is gone\nand more words"), RayError()])
def test_an_error_of_the_cluster_is_worth_another_try(
    error: RayError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not foreseen, it would end the job with 65, and with it the training."""

    def break_off() -> list[dict[str, object]]:
        raise error

    done: list[str] = []
    for name, call in {"init": lambda **_: None, "nodes": break_off, "shutdown": lambda: done.append("down")}.items():
        monkeypatch.setattr(ray_pool.ray, name, call)
    emit: Sink = [].append
    broken = pytest.raises(Unavailable, match=r"^Ray broke off \(.+\): see `koboshi status`\.$")
    with broken, ray_pool.on_ray(chain_spec(tmp_path, steps={"a": 1}), "job", emit):
        raise AssertionError("there is no pool")
    assert done == ["down"]
