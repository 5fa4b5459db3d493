"""The face: one object on which a project declares what it does, and which runs one stage of it.

    project = koboshi.Project.find()

    @project.topic("rentals", decode=json.loads)
    def rentals(): ...

    @project.stage(deps=["cut.json"])
    def table(out): ...

    project.train(on="table", units={"trees": koboshi.boosting(...)}, metric="r2")
    project.serve("trees")

Declaring does nothing else: no file is read, no setting looked at. So a worker, a DAG and a test may import the module.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from koboshi.errors import BadInput, NotConfigured
from koboshi.project.declared import EVALUATE, TRAIN, Build, Decode, Metric, Sample, Stage, Topic, Training
from koboshi.settings import FILE, find_project
from koboshi.training.declared import DeclaredUnit

if TYPE_CHECKING:
    from koboshi.formats.manifest import Dataset

OF_TRAINING = {TRAIN: "koboshi.project.training_stage:train", EVALUATE: "koboshi.project.evaluation_stage:evaluate"}
DATA, METRICS = "data", "metrics.json"


class Project:
    """What one module declares, for the project in `folder`."""

    def __init__(self, folder: Path) -> None:
        """For tests and tools; a project's module calls `Project.find()`."""
        self.folder = folder
        self.stages: dict[str, Stage] = {}
        self.topics: dict[str, Topic] = {}
        self.training: Training | None = None
        self.served: str | None = None
        self._letters: list[Any] = []

    @classmethod
    def find(cls) -> Self:
        """The project whose koboshi.toml is the nearest above the calling module, or above the current folder.

        Where neither is in a project (a module that a worker has imported from elsewhere), the current folder is taken.
        """
        caller = inspect.stack(context=0)[1].filename
        for folder in Path(caller).resolve().parents:
            if (folder / FILE).is_file():
                return cls(folder)
        with suppress(NotConfigured):
            return cls(find_project())
        return cls(Path.cwd())

    def stage(self, *, deps: Sequence[str], params: Sequence[str] = ()) -> Callable[[Build], Build]:
        """Declare a function as the stage of its name: it fills the empty folder that it is given.

        The folder becomes the dataset data/<name>, whole or not at all, with the SHA-256 of each file; the function
        should write the same bytes for the same input. `deps` are files of the project and names of other stages,
        `params` blocks of params.yaml. The stage runs again when one of them changes, or the function's own code.
        """

        def declare(build: Build) -> Build:
            self.stages[build.__name__] = Stage(build.__name__, build, tuple(deps), tuple(params))
            return build

        return declare

    def topic(self, name: str, *, decode: Decode) -> Callable[[Sample], Sample]:
        """Declare what a topic's records mean, and a function that yields (key, value) pairs for a first try.

        `koboshi run` sends these to the topic while it has no records. `decode` makes an item of `records` of a value,
        and raises for what it cannot take.
        """

        def declare(sample: Sample) -> Sample:
            self.topics[name] = Topic(name, decode, sample)
            return sample

        return declare

    def train(
        self,
        *,
        on: str,
        units: Mapping[str, DeclaredUnit],
        metric: Metric,
        held_out: float = 0.2,
        threads: int = 1,
        max_drop: float = 0.0,
    ) -> None:
        """Declare what is trained on the rows.parquet of the stage `on`, and by which metric units are judged.

        The newest rows, which come last in the file, are not learnt from: a share of `held_out`. A version is promoted
        if it is not worse on them by more than `max_drop` than the best that was served. `threads` are those of the
        numerical libraries: another number may give other bits.
        """
        self.training = Training(on, dict(units), metric, held_out, threads, max_drop)

    def serve(self, unit: str | None = None) -> None:
        """Declare which unit becomes a version of the registered model; without a name the best by the metric."""
        self.served = unit

    def records(self, topic: str) -> list[Any]:
        """The pinned records of a declared topic, decoded, in the order of partitions and offsets.

        For use in a stage with `cut.json` among its deps. A record without a value, or for which `decode` raises, is
        a dead letter: the dataset keeps it in dead_letters.parquet, with the reason. Raises `Corrupt` when a landed
        file is not as it was.
        """
        from koboshi.project.records import pinned_records

        if topic not in self.topics:
            raise BadInput(f"topic {topic} is not declared: add @project.topic({topic!r}, decode=…) to the module.")
        rows, letters = pinned_records(self.folder, topic, self.topics[topic].decode)
        self._letters += letters
        return rows

    def dataset(self, stage: str) -> "Dataset":
        """The dataset of another stage, each byte verified: `project.dataset("table").path("rows.parquet")`."""
        from koboshi.datasets.build import open_verified

        return open_verified(self.folder / DATA / stage)

    def params(self, block: str) -> dict[str, Any]:
        """A block of params.yaml; name it in the stage's `params`, too."""
        from koboshi.documents import load_mapping

        found = load_mapping(self.folder / "params.yaml").get(block)
        if not isinstance(found, dict):
            raise BadInput(f"{self.folder / 'params.yaml'} has no block {block}: add it.")
        return found

    def check(self) -> None:
        """Raise `BadInput` where declarations do not fit together."""
        if self.training is None:
            return
        if self.training.on not in self.stages:
            raise BadInput(
                f"project.train() learns on {self.training.on}, which is no stage: name one of the project's."
            )
        if self.served is not None and self.served not in self.training.units:
            units = ", ".join(self.training.units)
            raise BadInput(f"project.serve() names {self.served}, which is no unit: name one of {units}.")

    def main(self) -> None:
        """Run the stage that the command line names, and end with an exit code: what dvc.yaml calls."""
        from koboshi.exits import run_and_exit

        run_and_exit(lambda: self.run_stage(sys.argv[1:]), Path(sys.argv[0]).stem)

    def run_stage(self, words: Sequence[str]) -> None:
        """Run one stage. Safe to run again, and after any crash: a dataset is published whole or not at all."""
        self.check()
        runs: dict[str, Callable[[], None]] = {name: partial(self._build, stage) for name, stage in self.stages.items()}
        if self.training is not None:
            runs |= {name: partial(self._run_of_training, name, self.training) for name in OF_TRAINING}
        if len(words) != 1 or words[0] not in runs:
            raise BadInput(f"name one stage: {', '.join(runs) or 'none is declared'}; `dvc repro` runs all of them.")
        runs[words[0]]()

    def _build(self, stage: Stage) -> None:
        from koboshi.datasets.build import building
        from koboshi.project.records import write_dead_letters

        self._letters = []
        with building(self.folder / DATA / stage.name) as out:
            stage.build(out)
            told = write_dead_letters(out, self._letters)
        sys.stdout.write(f"{DATA}/{stage.name} is made{told}.\n")

    def _run_of_training(self, stage: str, training: Training) -> None:
        pkgutil.resolve_name(OF_TRAINING[stage])(self, training)


def load_project(folder: Path, module: str) -> Project:
    """The project that a module declares. Raises `NotConfigured` when it cannot be imported or declares none."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a module of a person's may raise anything
        raise NotConfigured(
            f'[pipeline] module = "{module}" in {FILE} cannot be imported ({type(error).__name__}: {error}): mend it.'
        ) from error
    projects = [value for value in vars(found).values() if isinstance(value, Project)]
    if len(projects) != 1:
        raise NotConfigured(
            f"{module} has {len(projects)} projects: write `project = koboshi.Project.find()` in it once."
        )
    projects[0].check()
    return projects[0]
