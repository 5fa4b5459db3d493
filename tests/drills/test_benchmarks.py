"""The benchmarks and the nemesis run at all: few rounds on the shared stack. What they find is theirs to say."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.exits import STOP
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]
StackOf = Callable[..., RunningStack]


def results(stack: RunningStack, folder: Path, module: str, *words: str) -> dict[str, object]:
    stack.python("-m", module, "--here", "--results", str(folder), *words, timeout_s=400)
    (file,) = folder.iterdir()
    return dict(json.loads(file.read_text()))


def test_three_faults_leave_the_undisturbed_model(stack_of: StackOf, tmp_path: Path) -> None:
    """I5: the whole nemesis, small: it exits 0 only when every training came out as the undisturbed one."""
    kinds = ["--kind", "kill worker", "--kind", "flip checkpoint"]
    few = ["--seed", "3", "--faults", "3", "--kit", "folds", *kinds]
    told = results(stack_of("ray"), tmp_path, "benchmarks.nemesis", *few)
    assert told["seed"] == 3
    assert told["differing"] == []
    assert len(told["raw"]) == 3  # type: ignore[arg-type]


def test_a_training_that_forgets_is_told_apart(stack_of: StackOf, tmp_path: Path) -> None:
    """The negative control: workers that begin a unit anew in the place of its checkpoint."""
    few = ["--seed", "3", "--faults", "2", "--kit", "folds", "--kind", "kill worker", "--results", str(tmp_path)]
    stack, forgetful = stack_of("ray"), {"KOBOSHI_DRILLS__JOB": "tests/drills/forgetful_job.py"}
    command = [sys.executable, "-m", "benchmarks.nemesis", "--here", *few]
    assert stack.call(*command, timeout_s=400, check=False, **forgetful).returncode == STOP
    (told,) = json.loads((tmp_path / "nemesis.json").read_text())["differing"]
    assert "differ from the undisturbed run's" in told


@pytest.mark.parametrize("module", ["benchmarks.recovery", "benchmarks.training"])
def test_a_quick_benchmark_keeps_its_figures(stack_of: StackOf, tmp_path: Path, module: str) -> None:
    """With --quick a missed time is no failure, but a differing model is."""
    told = results(stack_of("ray"), tmp_path, module, "--quick")
    assert told["raw"]
    assert told["machine"]
