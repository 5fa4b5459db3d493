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
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from koboshi.errors import BadInput, NotConfigured, Rejected
from koboshi.project.declared import (
    EVALUATE,
    TRAIN,
    Build,
    Decode,
    Judge,
    Judging,
    Metric,
    Sample,
    Stage,
    Topic,
    Training,
    Units,
)
from koboshi.settings import FILE, find_project

if TYPE_CHECKING:
    from pydantic import BaseModel

    from koboshi.datasets.span_records import RawBatch
    from koboshi.formats.manifest import Dataset

    ParamsT = TypeVar("ParamsT", bound=BaseModel)

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
        self.judging: Judging | None = None
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
        should write the same bytes for the same input; one that raises `koboshi.Rejected` fails for good, and its
        dataset is there all the same, to be looked at. `deps` are files of the project and names of other stages,
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
        units: Units,
        metric: Metric | None = None,
        held_out: float = 0.2,
        threads: int | Callable[[], int] = 1,
        max_drop: float | Callable[[], float] = 0.0,
        params: Sequence[str] = (),
    ) -> None:
        """Declare what is trained on the dataset of the stage `on`, and by which metric units are judged.

        Of its rows.parquet the newest rows, which come last, are not learnt from: a share of `held_out`. A stage may
        also divide the rows itself: into learn.parquet, judge.parquet and, where progress is measured on rows of its
        own, watch.parquet. A version is promoted if it is not worse by more than `max_drop` than the best that was
        served, on the rows that judge. `threads` are those of the numerical libraries: another number may give other
        bits. Units, threads and max_drop may each be a function, which is called when a stage runs, and may read the
        blocks `params` of params.yaml. Without a `metric` a function declared with `judge` judges.
        """
        self.training = Training(on, units, metric, held_out, threads, max_drop, tuple(params))

    def judge(self, *, by: str | Callable[[], str], params: Sequence[str] = ()) -> Callable[[Judge], Judge]:
        """Declare a function that judges all units, in place of a metric of `train`.

        It is called with the models by unit, the rows that judge (polars, all columns) and a folder, and returns each
        unit's metrics by name. `by` names the one that decides, the larger the better; it may be a function. What is
        written into the folder is in data/evaluate; PNG files in a folder of a unit's name are shown with its run in
        MLflow. To compare versions it is called with one model alone.
        """

        def declare(function: Judge) -> Judge:
            self.judging = Judging(function, by, tuple(params))
            return function

        return declare

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

    def batches(self) -> "Iterator[RawBatch]":
        """The pinned records of all topics as they were landed, batch by batch: for a stage that decodes by columns.

        A batch has `topic`, `partition`, `offsets`, `keys` and `values`. Raises as `records` does.
        """
        from koboshi.project.records import pinned_batches

        return pinned_batches(self.folder)

    def dataset(self, stage: str) -> "Dataset":
        """The dataset of another stage, each byte verified: `project.dataset("table").path("rows.parquet")`."""
        from koboshi.datasets.build import open_verified

        return open_verified(self.folder / DATA / stage)

    @overload
    def params(self, block: str) -> dict[str, Any]: ...
    @overload
    def params(self, block: str, model: "type[ParamsT]") -> "ParamsT": ...
    def params(self, block: str, model: "type[ParamsT] | None" = None) -> "dict[str, Any] | ParamsT":
        """A block of params.yaml, checked by a pydantic model if one is given; name it in the stage's `params`, too.

        Raises `BadInput` with one sentence that names each key at fault.
        """
        from koboshi.datasets.params import load_block, load_params

        return load_block(self.folder, block) if model is None else load_params(self.folder, block, model)

    def check(self) -> None:
        """Raise `BadInput` where declarations do not fit together."""
        if self.training is None:
            return
        if (self.training.metric is None) == (self.judging is None):
            raise BadInput("project.train() wants a metric, or else a function declared by @project.judge: give one.")
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

        self._letters, rejected = [], None
        with building(self.folder / DATA / stage.name) as out:
            try:
                stage.build(out)
            except Rejected as error:
                rejected = error
            told = write_dead_letters(out, self._letters)
        sys.stdout.write(f"{DATA}/{stage.name} is made{told}.\n")
        if rejected is not None:
            raise rejected

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
    projects[0].folder = folder
    projects[0].check()
    return projects[0]
