"""What a drill concludes: proved only when the steady state was there, the fault injected, and every check holds."""

import ast
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from koboshi.drills import catalogue
from koboshi.drills.drill import LAYERS, Drill, DrillOutcome, Environment, Evidence, Finding, Injection, run_drill
from koboshi.errors import Unavailable
from koboshi.events import CleanupFailed, DrillJudged, Event, Sink, SteadyState
from koboshi.settings import Settings

INJECTION = Injection("SIGKILL", "working", 100.0, 10.0, took=True, pid=7, detail="0.20 s of work into it")


class Toy:
    """A environment that is as the test wants it."""

    def __init__(self, *, begins: bool = True, ends: bool = True, spills: bool = False) -> None:
        self.begins, self.ends, self.spills = begins, ends, spills
        self.begun = False
        self.closed: list[bool] = []

    def begin(self) -> None:
        if not self.begins:
            raise Unavailable("Kafka does not answer")
        self.begun = True

    def finish(self, limit_s: float) -> Finding:
        return Finding("ended", self.ends, f"it {'ended' if self.ends else 'hung'} within {limit_s:.0f} s")

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        return Evidence({"detected_after_s": injections[0].at_monotonic})

    def close(self, *, keep_files: bool) -> None:
        self.closed.append(keep_files)

    def invariant_state(self) -> Mapping[str, str]:
        return {"dataset": "other" if self.begun and self.spills else "same"}


def good(*_: object) -> Finding:
    return Finding("good", True, "all is well")


def bad(*_: object) -> Finding:
    return Finding("bad", False, "predictions differ")


def away(*_: object) -> Finding:
    raise Unavailable("Ray does not answer")


def drill(
    *,
    steady: Callable[..., Finding] = good,
    injections: Sequence[Injection] = (INJECTION,),
    verdict: tuple[Callable[..., Finding], ...] = (good,),
) -> Drill[Toy]:
    def environment(_settings: Settings, _emit: Sink) -> Toy:
        return Toy()

    return Drill(
        "toy",
        "It stands up again.",
        "a push",
        "ingest",
        environment,
        (steady,),
        lambda _environment: injections,
        9,
        verdict,
    )


def run(tried: Drill[Toy], environment: Toy, emit: Sink = lambda _event: None) -> DrillOutcome:
    return run_drill(tried, environment, environment.invariant_state, emit)


def test_proved_when_everything_holds() -> None:
    told: list[Event] = []
    environment = Toy()
    outcome = run(drill(), environment, told.append)
    assert outcome.verdict == "proved"
    assert outcome.reasons == []
    assert outcome.evidence.measures == {"detected_after_s": 10.0}
    assert told == [
        SteadyState(check="good", holds=True, found="all is well"),
        INJECTION.event(),
        DrillJudged(drill="toy", verdict="proved"),
    ]
    assert str(told[1]) == str(INJECTION) == "SIGKILL to working (pid 7), 0.20 s of work into it"
    assert environment.closed == [False]


@pytest.mark.parametrize("steady", [bad, away])
def test_unknown_and_nothing_touched_without_the_steady_state(steady: Callable[..., Finding]) -> None:
    environment = Toy()
    outcome = run(drill(steady=steady), environment)
    assert outcome.verdict == "unknown"
    assert not environment.begun
    assert environment.closed == [False]


def test_unknown_when_its_own_work_cannot_begin() -> None:
    """Nothing was injected; what was begun half way is closed."""
    environment = Toy(begins=False)
    outcome = run(drill(), environment)
    assert outcome.verdict == "unknown"
    assert outcome.reasons == ["the drill's own work did not begin: Kafka does not answer"]
    assert environment.closed == [False]


@pytest.mark.parametrize("faults", [1, 2])
def test_unknown_when_a_fault_could_not_be_injected(faults: int) -> None:
    """Nothing was tested, so nothing is proved and nothing refuted, however well it ended."""
    tried = dataclasses.replace(drill(injections=[INJECTION] * (faults - 1)), faults=faults)
    outcome = run(tried, Toy())
    assert outcome.verdict == "unknown"
    assert outcome.reasons == [f"{faults - 1} of {faults} faults found their moment"]


@pytest.mark.parametrize(
    ("verdict", "reason"), [((good, bad), "predictions differ"), ((away, good), "Ray does not answer")]
)
def test_refuted_by_one_check_that_does_not_hold(verdict: tuple[Callable[..., Finding], ...], reason: str) -> None:
    """A check that cannot be made does not hold; the files are kept to be looked at."""
    environment = Toy()
    outcome = run(drill(verdict=verdict), environment)
    assert outcome.verdict == "refuted"
    assert outcome.reasons == [reason]
    assert environment.closed == [True]


def test_a_time_that_cannot_be_measured_changes_no_verdict() -> None:
    class Mute(Toy):
        def evidence(self, injections: Sequence[Injection]) -> Evidence:  # noqa: ARG002
            raise Unavailable("Ray does not answer")

    outcome = run(drill(), Mute())
    assert (outcome.verdict, outcome.evidence) == ("proved", Evidence())


def test_refuted_when_it_never_ends() -> None:
    outcome = run(drill(), Toy(ends=False))
    assert outcome.verdict == "refuted"
    assert outcome.reasons == ["it hung within 9 s"]


def test_refuted_when_something_of_the_users_changed() -> None:
    outcome = run(drill(), Toy(spills=True))
    assert outcome.verdict == "refuted"
    assert outcome.reasons == ["dataset changed during the drill"]


def test_an_environment_that_cannot_be_cleared_up_costs_no_verdict() -> None:
    """A topic that cannot be deleted, since the broker is gone: it is told, and the verdict stands."""

    class Sticky(Toy):
        def close(self, *, keep_files: bool) -> None:  # noqa: ARG002
            raise Unavailable("Kafka does not answer")

    told: list[Event] = []
    assert run(drill(), Sticky(), told.append).verdict == "proved"
    assert told[-1] == CleanupFailed(reason="Kafka does not answer")


def test_closed_when_it_is_interrupted() -> None:
    def interrupted(_environment: Toy) -> Sequence[Injection]:
        raise KeyboardInterrupt

    environment = Toy()
    with pytest.raises(KeyboardInterrupt):
        run(dataclasses.replace(drill(), inject=interrupted), environment)
    assert environment.closed == [False]


def drill_files() -> dict[str, Path]:
    """The file of each drill, by the name that it has to have."""
    folders = [Path(catalogue.__file__).with_name(folder) for folder in catalogue.FOLDERS]
    modules = [path for folder in folders for path in folder.glob("*.py")]
    return {path.stem.replace("_", "-"): path for path in modules if "\nDRILL" in path.read_text()}


def test_a_new_drill_is_found_by_its_file_alone() -> None:
    """The catalogue is the folders of the layers: one module with a `DRILL`, one drill, under the module's own name."""
    assert sorted(catalogue.all_drills()) == sorted(drill_files())


def test_drills_are_listed_along_the_way_of_the_data() -> None:
    """By layer, and within a layer by name; each stands in its layer's folder, that of the stream with the ingest."""
    drills, files = list(catalogue.all_drills().values()), drill_files()
    assert drills == sorted(drills, key=lambda drill: (LAYERS.index(drill.layer), drill.name))
    for drill in drills:
        assert files[drill.name].parent.name == ("ingest" if drill.layer == "stream" else drill.layer)


def test_drills_are_short() -> None:
    """A drill is one thing to read: claim, injection, environment and checks, and no more than can be read at once."""
    for path in drill_files().values():
        assert len(path.read_text().splitlines()) < 300, path.name


def test_a_drill_uses_nothing_of_another_drill() -> None:
    """What two need stands in a module of their layer, or in the kit."""
    drills = {f"koboshi.drills.{path.parent.name}.{path.stem}" for path in drill_files().values()}
    for path in drill_files().values():
        imported = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not imported & drills, path.name


def test_environments_inherit_one_level_at_most() -> None:
    """A drill's own environment may inherit a shared one, which inherits none: to read one, two files are enough."""
    modules = [sys.modules[drill.inject.__module__] for drill in catalogue.all_drills().values()]
    found = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    environments = {kind for kind in found if {"begin", "finish", "evidence", "close"} <= set(dir(kind))} - {
        Environment
    }
    assert len(environments) > 10
    for kind in environments:
        assert len([base for base in kind.__mro__ if base.__module__.startswith("koboshi.drills.")]) <= 2, kind
