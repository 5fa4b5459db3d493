"""The environment of the training drills: a small training, each unit beside an undisturbed control."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from koboshi import events
from koboshi.drills.declared import workload_of
from koboshi.drills.drill import Event, EventKind, Evidence, Finding, Injection, first_after, seconds_after, times_after
from koboshi.drills.kit.faults import MIDDLE_S, WHOLE_WITHIN_S, Caught, and_healthy, caught_in_the_middle
from koboshi.drills.kit.own_run import OwnRun
from koboshi.drills.training.witnesses import Actor, RayWitness, StepFiles
from koboshi.drills.workload import Workload
from koboshi.errors import BadInput, KoboshiError
from koboshi.events import AttemptEnded, JobBegan, NoAnswer, Sink, WorkerReady
from koboshi.files import sha256_of
from koboshi.formats.manifest import DatasetRef
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.settings import Settings, required
from koboshi.training import RunConfig, TrainingSpec, UnitSpec
from koboshi.training.attach import ensure_trained
from koboshi.training.on_ray import step_name
from koboshi.training.on_ray.ray_submit import RayJobs, submission
from koboshi.training.spec import training_key

EventT = TypeVar("EventT", bound=events.Event)
CONTROL = ".control"
ENDS_WITHIN_S = 120.0
KINDS: Mapping[str, EventKind] = {"worker died": "suspicion", "recovered": "recovery"}


class TrainingEnvironment:
    """A run with a key, a ledger and a folder of its own, which is removed when all went well."""

    actors_at_once = 0  # how many units are worked on at once, if that is not as the settings say
    ends_the_attempt = False  # the fault ends the job's driver: another attempt goes on
    ends_nodes = False  # the fault ends parts of Ray's cluster, which has to become whole again
    _silenced: psutil.Process | None = None

    def __init__(self, settings: Settings, emit: Sink, job: Path | None = None) -> None:
        """Nothing is done yet; `job` is the script of the training job, when it is not the project's own."""
        self.settings, self.emit, self._own = settings, emit, OwnRun(settings, emit)
        self.folder, self.ends = self._own.folder, self._own.ends
        self._job = job or settings.script(settings.drills.job)
        self._workload: Workload = workload_of(settings)
        url = required(settings.ray.jobs_url, "Ray")
        self._jobs, self.ray = RayJobs(url, settings.ray.token_path), RayWitness(url, settings.ray.token_path)
        self._training: Future[Any] | None = None
        self.heard: list[tuple[float, events.Event]] = []

    def begin(self) -> None:
        """Prepare the table, and have the training begun and followed in the background."""
        self.before = self.ray.members() if self.ends_nodes else []
        folder = self.folder / "table"
        folder.mkdir(parents=True, exist_ok=True)
        units = self._trained(self._workload.prepare(self.settings.project, folder))
        self.spec = self._specification(DatasetRef(str(folder), sha256_of(folder / "manifest.json")), units)
        self.victim, self.units = next(iter(units)), tuple(name for name in units if not name.endswith(CONTROL))
        # in the middle, so that there is something to go on from, and something to go on to
        self.step = units[self.victim].steps // 2 + 1
        self.files = StepFiles(self.spec.place.checkpoints / self.spec.key[:16])
        self.files.start()
        pool = ThreadPoolExecutor(1)
        self._training = pool.submit(self._train)
        pool.shutdown(wait=False)

    def _trained(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        """What is trained of the project's units: each of them twice, side by side."""
        return {name + suffix: unit for name, unit in units.items() for suffix in ("", CONTROL)}

    def _train(self) -> None:
        """Have it trained; raises what a caller of the training would get."""
        with closing(Ledger(self.spec.place.ledger_url)) as ledger:
            ensure_trained(self.spec, self._jobs, ledger, submission(self.spec, self._job), self._hear)

    def finish(self, limit_s: float) -> Finding:
        """Wait for the training's end, and until a cluster that the fault was in does real work on every node again."""
        ended = self._await_end(limit_s, time.monotonic())
        if not self.ends_nodes:
            return ended
        return and_healthy(ended, self.settings, "ray", WHOLE_WITHIN_S, "Ray runs tasks on every node again")

    def _await_end(self, limit_s: float, begun: float) -> Finding:
        """The training's end; `begun` is when the waiting began, on the monotonic clock."""
        try:
            self._future().result(limit_s)
        except TimeoutError:
            return Finding("training_ended", False, f"the training had not ended after {limit_s:.0f} s")
        except KoboshiError as error:
            return Finding("training_ended", False, f"the training failed: {error}")
        finally:
            self.files.stop()
        return Finding(
            "training_ended", True, f"the training ended {time.monotonic() - begun:.1f} s after the injection"
        )

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """From the run's own journal, on the clock that the injection was read from; Ray counts the steps."""
        told, injection = list(Journal(self.spec.place.journal).events()), injections[0]
        after = seconds_after(
            injection,
            detected_after_s=first_after(told, injection, "worker died"),
            recovered_after_s=first_after(told, injection, "recovered"),
        )
        wanted = set(step_names(self.spec))
        done = [task.name for task in self.ray.tasks(self.actors()) if task.name in wanted]
        counted = {
            "lost": float(len(self.missing_steps())),
            "doubled": float(len(self.done_again(injections))),
            "redone": float(len(done) - len(set(done))),
        }
        events = [Event(e["at"], KINDS.get(e["event"], "note"), _sentence(e)) for e in told]
        told_of = Evidence({**after, **counted}, events, [self.files.series()])
        return next_attempt_evidence(self, told_of, injections) if self.ends_the_attempt else told_of

    @property
    def over(self) -> bool:
        """Whether the training has ended, well or not."""
        return self._future().done()

    def actors(self) -> list[Actor]:
        """The workers of this run, dead ones included, as Ray knows them."""
        return self.ray.actors(f"koboshi-{self.spec.key[:16]}-")

    @property
    def at(self) -> str:
        """The victim's chosen step, for people."""
        return f"{self.victim}'s step {self.step}"

    @property
    def doing(self) -> str:
        """The process title of the worker that is at the victim's chosen step."""
        return f"ray::{step_name(self.victim, self.step)}"

    def in_the_middle(
        self, inject: Callable[[Caught], Injection | None], cpu_s: float = MIDDLE_S, *, silences: bool = False
    ) -> list[Injection | None]:
        """Inject a fault into or around the worker that is in the middle of the victim's chosen step.

        Empty when the training was over first. A fault that `silences` the worker leaves a process that would never
        come to its end: `close` ends it.
        """
        caught = self.catch(cpu_s)
        if caught is None:
            return []
        self._silenced = caught.process if silences else None
        return [inject(caught)]

    def catch(self, cpu_s: float = MIDDLE_S) -> Caught | None:
        """The worker that is at the victim's chosen step, once it has worked at it for `cpu_s` of processor time.

        On a busy machine the step may have passed before it was looked at: then the next one is chosen. None when the
        training is over first.
        """
        last = max(self.step, self.spec.units[self.victim].steps - 1)
        for step in range(self.step, last + 1):
            self.step = step
            if caught := caught_in_the_middle(self.doing, self.pids, self._is_past_it, cpu_s):
                return caught
        return None

    def _is_past_it(self) -> bool:
        return self.over or self.files.reached(time.time()).get(self.victim, 0) >= self.step

    def pids(self) -> list[int]:
        """The processes of this run's workers, from its journal: on a busy machine Ray takes seconds to list them."""
        return [event.pid for event in self.happened(WorkerReady)]

    def drivers(self) -> list[int]:
        """The processes in which the run's jobs have begun."""
        return [event.pid for event in self.happened(JobBegan)]

    def happened(self, kind: type[EventT]) -> list[EventT]:
        """The events of a kind in the run's own journal, oldest first."""
        return [entry.event for entry in Journal(self.spec.place.journal).entries() if isinstance(entry.event, kind)]

    def predictions(self, unit: str) -> NDArray[np.float64]:
        """What the unit's final model predicts: read from its file and asked here, not from any record of the trainer.

        Raises `BadInput` when there is not exactly one file of the last step.
        """
        folder = self.spec.place.checkpoints / self.spec.key[:16] / unit
        files = list(folder.glob(f"{self.spec.units[unit].steps:04d}-*.ckpt"))
        if len(files) != 1:
            raise BadInput(f"{unit} has {len(files)} final models in {folder}, not one.")
        return self._workload.predict(unit.removesuffix(CONTROL), files[0].read_bytes(), self.folder / "table")

    def missing_steps(self) -> list[str]:
        """Steps whose file was never on disk."""
        seen = {(file.unit, file.step) for file in self.files.written()}
        wanted = ((name, k) for name, unit in self.spec.units.items() for k in range(1, unit.steps + 1))
        return [f"{name}/step-{k}" for name, k in wanted if (name, k) not in seen]

    def done_again(self, injections: Sequence[Injection]) -> list[str]:
        """Steps that were done after the first injection, although the next one had begun before it: committed ones."""
        injected_s = injections[0].at_s
        reached = self.files.reached(injected_s)
        again = {
            (f.unit, f.step) for f in self.files.written() if f.at_s > injected_s and f.step < reached.get(f.unit, 0)
        }
        return [f"{unit}/step-{step}" for unit, step in sorted(again)]

    def close(self, *, keep_files: bool) -> None:
        """The training ends by itself; the run's folder goes, unless it is to be looked at."""
        if self._silenced:
            with suppress(psutil.NoSuchProcess):  # mostly the pool has ended it, and its id may be another's by now
                self._silenced.kill()
            wait([self._future()], ENDS_WITHIN_S)
        if self._training is not None:
            self.files.stop()
        self._own.close(keep_files=keep_files)

    def _specification(self, table: DatasetRef, units: Mapping[str, UnitSpec]) -> TrainingSpec:
        """The salt is the folder's name, so that no run is ever taken for another."""
        place = RunConfig(
            project=str(self.settings.project),
            state_dir=str(self.folder),
            ledger_url=f"sqlite:///{self.folder / 'ledger.db'}",
            actors=self.actors_at_once or self.settings.training.actors,
            lease_s=self.settings.training.lease_s,
        )
        return TrainingSpec(training_key(table, units, salt=self.folder.name), table, units, place)

    def _hear(self, event: events.Event) -> None:
        self.heard.append((time.time(), event))
        self.emit(event)

    def _future(self) -> "Future[Any]":
        if self._training is None:
            raise BadInput("the drill's training has not begun.")
        return self._training


def step_names(spec: TrainingSpec) -> list[str]:
    """What a run's steps are called on Ray."""
    return [step_name(name, k) for name, unit in spec.units.items() for k in range(1, unit.steps + 1)]


def next_attempt_evidence(
    environment: TrainingEnvironment, told: Evidence, injections: Sequence[Injection]
) -> Evidence:
    """What was measured of a job that died: suspicion is the follower's, recovery the next attempt's first step.

    It is read off the files, since Ray may have forgotten all of the training.
    """
    injected_s, journal = injections[0].at_s, list(Journal(environment.spec.place.journal).events())
    suspected = [
        at for at, event in environment.heard if at > injected_s and isinstance(event, NoAnswer | AttemptEnded)
    ]
    last_began = max(e["at"] for e in journal if e["event"] == "job began")
    good = [file.at_s for file in environment.files.written() if file.at_s > last_began > injected_s]
    events = [
        *(Event(at, "suspicion", "the follower misses the job") for at in suspected[:1]),
        *(Event(at, "recovery", "the next attempt has done a step") for at in good[:1]),
    ]
    begun = [(e["unit"], e["step"]) for e in journal if "pid" in e and "step" in e]
    return told.plus({**times_after(injections[0], events), "redone": float(len(begun) - len(set(begun)))}, events)


def _sentence(event: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {event[name]}" for name in ("unit", "step", "worker") if name in event)
    return f"{event['event']}: {facts}" if facts else str(event["event"])
