"""The environment of the drills that kill what runs a task: one training, as a stage that a run of Airflow has done."""

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from koboshi.drills.drill import Event, EventKind, Evidence, Finding, Injection
from koboshi.drills.kit.faults import kill, ours_and_well, resume, stop
from koboshi.drills.kit.own_run import eventually
from koboshi.drills.orchestration.train_stage import SPECIFICATION, STAGE, make_workspace
from koboshi.drills.training.training_checks import one_job
from koboshi.drills.training.training_environment import TrainingEnvironment
from koboshi.drills.training.witnesses import written_more_than_once
from koboshi.errors import KoboshiError, Permanent
from koboshi.events import CleanupFailed, DrillNote, JobFollowed, Sink
from koboshi.journal import Journal
from koboshi.orchestration.airflow_client import AirflowClient, Run, TaskState, Try, connect
from koboshi.probes.airflow_probe import probe_airflow
from koboshi.settings import Settings, required
from koboshi.training import UnitSpec

DAG = "drill_train"
KNOWN_WITHIN_S = 60.0
ASK_S = 0.5
FOLLOWED_S = 600.0
STAGE_COMMAND = (sys.executable, "-m", "koboshi.drills.orchestration.train_stage")
KINDS: Mapping[str | None, EventKind] = {"up_for_retry": "suspicion"}


class TaskEnvironment(TrainingEnvironment):
    """A run of the DAG `drill_train` in a workspace of its own.

    Airflow takes half a minute to miss a killed supervisor, which the training has to outlast on any machine: so the
    job's driver is held in the middle of a step (SIGSTOP) until the next try has found the job or made another; a
    stopped worker would be replaced. One unit is trained, without a control beside it: what is asked here is how often
    it was trained, not to what bits.
    """

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        job: Path | None = None,
        stage: Sequence[str] = STAGE_COMMAND,
    ) -> None:
        """Nothing is done yet; `stage` is the command of the workspace's stage, to which the job's script is added."""
        super().__init__(settings, emit, job)
        self.run = Run(DAG, f"drill-{self.folder.name}")
        self.changes: list[tuple[float, TaskState]] = []
        self._stage = (*stage, *([str(self._job)] if self._job else []))
        self._held: list[int] = []
        self.injections: list[Injection] = []
        self.beside: Sequence[Run] = ()  # runs of other DAGs in the same workspace
        self.ingest: Mapping[str, Any] = {}  # the settings of the workspace's ingest
        self._airflow: AirflowClient | None = None
        self._link = settings.state_dir / "workspaces" / self.run.run_id

    @property
    def airflow(self) -> AirflowClient:
        """The drill's own session; who follows the runs on other threads has others."""
        if self._airflow is None:
            self._airflow = self._connected()
        return self._airflow

    def kill_the_task(self) -> list[Injection]:
        """SIGKILL to the task's supervisor and to the task, while Ray is in the middle of a step of its job."""
        if not self.hold():
            return []
        pid = self.airflow.tries(self.run, STAGE)[-1].pid
        supervisor = _supervisor_of(pid)
        if pid is None or supervisor is None:
            return []
        return self.injected(kill("the task's supervisor and its process", [supervisor, pid], f"during {self.at}"))

    def injected(self, injection: Injection | None) -> list[Injection]:
        """Note an injection, if there was one; returns all so far."""
        self.injections += [injection] if injection else []
        return self.injections

    def hold(self) -> bool:
        """Keep the job where it is, in the middle of a step; False when the training was over first."""
        if self.catch() is None:
            return False
        self._held = self.drivers()
        return stop("the job's driver", self._held) is not None

    def finish(self, limit_s: float) -> Finding:
        """Let the driver go on once a try that began after the injection follows a job, then wait for the run's end."""
        begun = time.monotonic()
        eventually(self.is_followed, limit_s, look_s=ASK_S, over=lambda: self.over)
        resume(self._held)
        return self._await_end(limit_s, begun)

    def is_followed(self) -> bool:
        """Whether a try that began after the injection runs, and follows a job."""
        later = begun_after(self.airflow.tries(self.run, STAGE), self.injections[-1])
        if not later or later[-1].state != "running":
            return False
        journal, began_s = Journal(self.spec.place.journal), later[-1].began_s or 0.0
        return any(isinstance(entry.event, JobFollowed) and entry.at > began_s for entry in journal.entries())

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """Suspicion is Airflow's, when it lets a task be tried again; recovery is when one runs again.

        Times are those after the last injection.
        """
        again = tried_again(self.changes, injections[-1])
        running = [(at, task) for at, task in again if task.state == "running"]
        events = [
            Event(at, KINDS.get(t.state, "note"), f"Airflow: {t.task_id} {t.state}, try {t.try_number}")
            for at, t in self.changes
        ]
        measured = (("detected_after_s", again), ("recovered_after_s", running))
        times = {name: changes[0][0] - injections[-1].at_s for name, changes in measured if changes}
        tries = float(len(self.airflow.tries(self.run, STAGE)))
        return super().evidence(injections).plus({**times, "tries": tries}, events)

    def close(self, *, keep_files: bool) -> None:
        """Take the runs out of Airflow, and the workspace out of the way."""
        resume(self._held)
        self._link.unlink(missing_ok=True)
        if not keep_files and self._training is not None:
            self._forget()
        if self._airflow:
            self._airflow.close()
        super().close(keep_files=keep_files)

    def _forget(self) -> None:
        for run in (*self.beside, self.run):
            try:
                self.airflow.forget(run)
            except KoboshiError as error:
                self.emit(CleanupFailed(reason=f"{run.dag_id} {run.run_id} stays in Airflow: {error}"))

    def _train(self) -> None:
        """All runs, side by side; the first that is not green is the failure."""
        self._make_workspace()
        with ThreadPoolExecutor(len(self.beside) or 1) as pool:
            others = [pool.submit(self._run_through, run) for run in self.beside]
            self._run_through(self.run)
            for other in others:
                other.result()

    def _make_workspace(self) -> None:
        workspace = self.folder / "workspace"
        make_workspace(workspace, self._stage, {SPECIFICATION: self.spec.to_json().encode()}, self.ingest)
        self._link.parent.mkdir(exist_ok=True)
        self._link.symlink_to(workspace, target_is_directory=True)

    def _run_through(self, run: Run) -> None:
        """Trigger a run in the workspace, and wait for its end; raises `Permanent` when it is not green."""
        with closing(self._connected()) as airflow:
            airflow.wait_for_dag(run.dag_id, within_s=KNOWN_WITHIN_S)
            airflow.trigger(run, {"workspace": self._link.name})
            ended = airflow.follow(run, within_s=FOLLOWED_S, on_change=self._changed)
        if ended.state != "success":
            raise Permanent(f"run {run.run_id} of {run.dag_id} ended as {ended.state}.")

    def _connected(self) -> AirflowClient:
        where = self.settings.airflow
        return connect(required(where.base_url, "Airflow"), where.username, where.passwords_path)

    def _changed(self, task: TaskState) -> None:
        self.changes.append((time.time(), task))
        if task.state is not None:
            self.emit(DrillNote(note=f"{task.task_id} {task.state}, try {task.try_number}"))

    def _trained(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        """The first unit alone."""
        return dict(list(units.items())[:1])


def begun_after(tries: Sequence[Try], injection: Injection) -> list[Try]:
    """Those that began after an injection: one before it may have been lost without it, when the machine is busy."""
    return [one for one in tries if one.began_s is not None and one.began_s > injection.at_s]


def tried_again(changes: Sequence[tuple[float, TaskState]], injection: Injection) -> list[tuple[float, TaskState]]:
    """What was seen after an injection of the tasks that ran then, from when their try was over, oldest first.

    Airflow may be quicker than who looks, so not each state is seen: that a later try is told of says it as well.
    """
    in_order = sorted(changes, key=lambda change: change[0])
    then = {task.task_id: task for at, task in in_order if at <= injection.at_s}
    tries = {name: task.try_number for name, task in then.items() if task.state == "running"}
    return [
        (at, task)
        for at, task in in_order
        if at > injection.at_s and task.task_id in tries
        if task.state == "up_for_retry" or task.try_number > tries[task.task_id]
    ]


def _supervisor_of(pid: int | None) -> int | None:
    """The process of LocalExecutor that started a task and beats for it; None when it is something else."""
    try:
        parent = psutil.Process(pid).parent() if pid else None
        return parent.pid if parent and "LocalExecutor" in " ".join(parent.cmdline()) else None
    except psutil.Error:
        return None


SCHEDULER = "airflow-scheduler"


def airflow_is_ours_and_well(environment: TaskEnvironment) -> Finding:
    """Its processes are this stack's own, so that they can be found and come back, and its heartbeats are fresh."""
    settings = environment.settings
    return ours_and_well(
        "airflow_is_ours_and_well",
        settings,
        SCHEDULER,
        "Airflow",
        lambda: probe_airflow(required(settings.airflow.base_url, "Airflow")),
    )


def task_was_tried_again(environment: TaskEnvironment, injections: Sequence[Injection]) -> Finding:
    """The killed processes are gone; by Airflow's count no try before the injection succeeded, and one after it did."""
    tries = environment.airflow.tries(environment.run, STAGE)
    states = [str(one.state) for one in tries]
    later = [str(one.state) for one in begun_after(tries, injections[-1])]
    again = states[-1:] == later[-1:] == ["success"] and "success" not in states[: len(states) - len(later)]
    holds = all(injection.took for injection in injections) and len(later) < len(states) and again
    return Finding("task_was_tried_again", holds, f"tries of {STAGE}: {', '.join(states) or 'none'}")


def retry_attached(environment: TaskEnvironment, injections: Sequence[Injection]) -> Finding:
    """Ray had one job of this training, and it was running when the task was tried again."""
    one, jobs = one_job(environment, injections), environment.ray.jobs(environment.folder)
    if not one.holds:
        return Finding("retry_attached", False, one.said)
    tries = begun_after(environment.airflow.tries(environment.run, STAGE), injections[-1])
    again_s = next((one.began_s for one in tries if one.began_s), 0.0)
    (job,) = jobs
    running = job.started_ms / 1000 < again_s < job.ended_ms / 1000
    when = f"the next try began {again_s - job.started_ms / 1000:.0f} s after the job had begun"
    return Finding(
        "retry_attached", running, f"{one.said}; {when}, {job.ended_ms / 1000 - again_s:.0f} s before its end"
    )


def every_step_was_done_once(environment: TaskEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Each step's file was written once, as the drill saw it, and there is one final model."""
    files = environment.files.written()
    wrong = [f"{step} is nowhere" for step in environment.missing_steps()]
    wrong += [f"{unit}/step-{step} was written twice" for unit, step in written_more_than_once(files)]
    models = [len(environment.predictions(unit)) for unit in environment.units]
    return Finding.unless(
        "every_step_was_done_once", wrong[:3], f"{len(files)} steps were written once each, to {len(models)} model"
    )
