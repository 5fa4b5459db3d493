"""What happens, as frozen dataclasses: an event has a name and facts for programs, and one sentence for people.

An event goes to sinks: the journal, the terminal, whatever else has a module in koboshi/sinks. Who decides or measures
reads classes and facts, never a sentence: so a sentence can be reworded, and no verdict changes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, dataclass_transform

_KINDS: dict[str, type["Event"]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. `run` is the key of the training that it belongs to, if there is one.

    A subclass gives the `name` under which journals keep it, and what it `says` to people, with its facts in braces.
    """

    name: ClassVar[str] = ""
    says: ClassVar[str] = ""
    run: str = ""

    def __init_subclass__(cls, name: str = "", says: str = "") -> None:
        """Make the subclass a frozen dataclass, and known to `read_event` if it has a name."""
        cls.name, cls.says = name, says
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        if name:
            _KINDS[name] = cls

    @property
    def sentence(self) -> str:
        """For people; empty where there is nothing that they want to hear."""
        return self.says.format(**vars(self))

    def __str__(self) -> str:
        return self.sentence

    @property
    def facts(self) -> dict[str, Any]:
        """What a journal keeps: all fields but those that have their default."""
        fields = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {field.name: value for field, value in fields if value != field.default}


Sink = Callable[[Event], None]


def read_event(name: str, facts: Mapping[str, Any]) -> Event:
    """The event that a journal keeps under a name.

    Facts that this koboshi does not know are passed over. What it cannot make an event of is `Unknown`.
    """
    kind = _KINDS.get(name, Unknown)
    known = {field.name for field in dataclasses.fields(kind)}
    try:
        return kind(**{fact: value for fact, value in facts.items() if fact in known})
    except TypeError:  # it lacks a fact
        return Unknown(run=facts.get("run", ""), called=name, told=facts)


def to_all(*sinks: Sink) -> Sink:
    """One sink that hands each event on to all of these, in this order."""

    def emit(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return emit


def unheard(_event: Event) -> None:
    """A sink for events that nobody wants to hear of."""


def in_words(say: Callable[[str], None]) -> Sink:
    """A sink that says each event's sentence, if it has one."""

    def emit(event: Event) -> None:
        if sentence := event.sentence:
            say(sentence)

    return emit


class Unknown(Event):
    """An event of another version, or of a program that has names of its own."""

    called: str
    told: Mapping[str, Any]


class OfUnit(Event):
    """Something about a unit of a training."""

    unit: str


class OfStep(OfUnit):
    """Something about a step of a unit."""

    step: int


class Troubled(Event):
    """Something did not go as it should, for this reason: a log has it as a warning."""

    reason: str


class LeftoversEnded(
    Event,
    name="leftovers ended",
    says="ended {processes} processes of a stack whose supervisor was killed",
):
    """`koboshi up` ended what an earlier stack had left running."""

    processes: int


class DownloadBegan(Event, name="download began", says="fetching {what}"):
    """The jars of a part are not complete here, and are fetched."""

    what: str


class JobBegan(Event, name="job began", says="job {job} began (pid {pid})"):
    """A training's driver is at work."""

    job: str
    pid: int


class JobDone(Event, name="job done", says="job {job} is done"):
    """All units of a training are trained."""

    job: str


class NodesAwaited(
    Event,
    name="nodes awaited",
    says="No Ray node with a CPU is alive yet: waiting for at most {within_s:.0f} s.",
):
    """The cluster has no node that can work; the driver waits for one."""

    within_s: float


class ClusterTooSmall(
    Event,
    name="cluster too small",
    says="The cluster is too small for {wanted} workers at once with {threads} threads each: "
    "{places} at once are started.",
):
    """Fewer workers are started than were ordered."""

    wanted: int
    threads: int
    places: int


class WorkerReady(Event, name="worker ready", says="{worker} is ready (pid {pid} on {node})"):
    """A worker is warm."""

    worker: str
    pid: int
    node: str


class UnitComplete(OfUnit, name="unit complete", says="{unit}: {steps} of {steps} steps are committed already"):
    """A unit has nothing left to do: earlier drivers have committed all its steps."""

    steps: int


class TakenUp(OfStep, name="taken up"):
    """A driver goes on with a unit of which an earlier one has committed `step` of `total` steps."""

    total: int = 0

    @property
    def sentence(self) -> str:
        """An older journal does not tell the total."""
        return f"{self.unit}: taken up by another driver after step {self.step}" + (
            f" of {self.total}" if self.total else ""
        )


class StepStarted(Event, name="step started"):
    """A worker begins a step; `pid` is its process."""

    step: int
    pid: int
    unit: str = ""


class StepDone(OfStep, name="step done"):
    """A step was done; it counts once the ledger has it.

    `at_risk` is how many of the unit's newest steps are in its worker's memory alone, and `trouble` why, unless the
    store is just at it.
    """

    total: int
    metrics: Mapping[str, float]
    seconds: float
    worker: str
    at_risk: int = 0
    trouble: str = ""

    @property
    def sentence(self) -> str:
        """With its metrics, and with what a death would cost."""
        metrics = " ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        done = f"{self.unit}: step {self.step}/{self.total} {metrics} ({self.seconds:.2f} s, {self.worker})"
        if not self.trouble:
            return done
        return f"{done}; {self.at_risk} steps are in memory alone, a death would cost them: {self.trouble}"


class StepLost(Troubled):
    """A step came to nothing, or a worker that was at none.

    `cause` is what the detector suspected, if it was the detector that ended the worker; `unit` is empty where the
    worker was at none.
    """

    worker: str
    cause: str = ""
    unit: str = ""
    step: int = 0

    @property
    def sentence(self) -> str:
        """Where, and why."""
        where, at_step = (f"{self.unit}: ", f" at step {self.step}") if self.unit else ("", "")
        return f"{where}{self.name}{at_step} on {self.worker} ({self.reason})"


class WorkerDied(StepLost, name="worker died"):
    """A worker is gone, with the step that it was at."""


class StepFailed(StepLost, name="step failed"):
    """A step raised; its worker lives."""


class UnitGoesOn(OfStep, name="unit goes on", says="{unit}: it goes on from step {step}"):
    """After a step was lost: `step` is the unit's newest committed one that verifies."""


class Recovered(
    OfStep,
    name="recovered",
    says="{unit}: recovered, step {step} was done again on {worker} after {after_s:.2f} s",
):
    """A unit's first durable step after a failure; `after_s` counts from when the failure was noticed."""

    worker: str
    after_s: float


class UnitQuarantined(
    OfStep,
    Troubled,
    name="unit set aside",
    says="{unit}: quarantined at step {step} ({reason})",
):
    """A unit is tried no more by this job."""


class WorkerRetired(OfUnit, Troubled, name="worker retired", says="{unit}: {worker} is used no more ({reason})"):
    """A worker that is of no use any more is ended."""

    worker: str


class CheckpointQuarantined(
    OfStep,
    Troubled,
    name="checkpoint set aside",
    says="{unit}: step {step} is quarantined, the step before it is used: {reason}",
):
    """A committed state was bad; its step does not count any more."""


class CheckpointsPaused(
    OfUnit, Troubled, name="checkpoints paused", says="{unit}: checkpoints paused, {at_risk} steps at risk ({reason})"
):
    """The store does not take a unit's states."""

    at_risk: int


class CheckpointsGoOn(OfUnit, name="checkpoints go on", says="{unit}: checkpoints go on"):
    """The store takes a unit's states again."""


class LeftoversRemoved(
    Event,
    name="leftovers removed",
    says="{files} files that no step names, older than {older_than_min:.0f} min, are removed",
):
    """Files that killed or fenced workers left are removed."""

    files: int
    older_than_min: float


class LeftoversStay(Troubled, name="leftovers stay", says="leftovers are not swept this time: {reason}"):
    """The store did not tell what killed or fenced workers left; the next driver sweeps it."""


class OldCheckpointsStay(Troubled, name="old checkpoints stay", says="old checkpoints stay for now: {reason}"):
    """Files of no use could not be removed; the next driver removes them."""


class GivenUp(Troubled, name="given up", says="given up ({reason})"):
    """The run stops: there is nobody to do the work."""


class JobFollowed(Event, name="job followed"):
    """A job is followed from now on; `new` if it was submitted by this call."""

    job: str
    new: bool

    @property
    def sentence(self) -> str:
        """Whether it runs already."""
        return f"{'submitted' if self.new else 'attached to'} job {self.job}"


class JobSaid(Event, name="job said", says="{line}"):
    """A line of what a job or a task's command writes, for people: what happened in a job is in its journal."""

    line: str


class NoAnswer(Troubled, name="no answer", says="waiting for at most {within_s:.0f} s: {reason}"):
    """A service that a follower asks does not answer; it goes on asking."""

    within_s: float


class AttemptEnded(
    Troubled,
    name="attempt ended",
    says="attempt {attempt} ended without a result ({reason}); the next one goes on from committed steps",
):
    """An attempt at a training has ended; another one follows."""

    attempt: int


class FinalStateBad(Troubled, name="final state bad", says="the training is not complete any more: {reason}"):
    """A training that was complete is not any more."""


class TrainingRecorded(
    Event,
    name="training recorded",
    says="Recorded in MLflow, experiment {experiment}: run {record} with {units} units.",
):
    """A training is in MLflow; `record` is the id of its run there."""

    experiment: str
    record: str
    units: int


class RecordPostponed(Troubled, name="record postponed"):
    """MLflow does not take a training's record, which waits in the outbox with `waiting` entries in all."""

    waiting: int

    @property
    def sentence(self) -> str:
        """Why, and what delivers it."""
        counted = f"{self.waiting} {'entry waits' if self.waiting == 1 else 'entries wait'}"
        later = "delivered by the next train, evaluate or promote, or by `koboshi outbox deliver`"
        return f"MLflow {self.reason}; {counted} in the outbox, {later}."


class RecordDelivered(
    Event, name="record delivered", says="Delivered from the outbox: training {run} with {units} units is in MLflow."
):
    """An entry of the outbox is in MLflow."""

    units: int


class RecordWaits(Troubled, name="record waits", says="Entry {entry} of the outbox waits on: {reason}"):
    """An entry of the outbox can be delivered once a person has done something."""

    entry: str


class RecordQuarantined(
    Troubled, name="record quarantined", says="Entry {entry} of the outbox is quarantined, in {folder}: {reason}"
):
    """An entry of the outbox cannot be delivered; the others go on."""

    entry: str
    folder: str


class ProgressWithheld(
    Troubled, name="progress withheld", says="Training goes on, and its progress is recorded later: {reason}"
):
    """The steps of a training under way cannot be told to MLflow just now."""


class VersionLeftOut(
    Troubled, name="version left out", says="Version {version} was served before and does not count: {reason}."
):
    """A version that a slot has served cannot be measured, so a candidate is judged without it."""

    version: int


class AliasMoved(Event, name="alias moved"):
    """A release has let a slot's alias point at another version; `before` is None where it pointed at none."""

    model: str
    slot: str
    before: int | None
    version: int

    @property
    def sentence(self) -> str:
        """From which version to which."""
        before = "nothing" if self.before is None else f"version {self.before}"
        return f"{self.model}: the alias {self.slot} moved from {before} to version {self.version}."


class VersionRefused(
    Troubled, name="version refused", says="{replica}: version {version} of slot {slot} is refused: {reason}"
):
    """A replica does not take the version that its slot's alias points at; the version before it goes on."""

    replica: str
    slot: str
    version: int
    cause: str


class ScoresThere(Event, name="scores there", says="{to} has these scores already (key {run:.16}): nothing is scored."):
    """A dataset was scored by this version before."""

    to: str


class ScoringBegan(
    Event, name="scoring began", says="Scoring {run:.16}: {rows:,} rows in {partitions} partitions, by {version}."
):
    """A dataset is going to be scored."""

    rows: int
    partitions: int
    version: str


class PartitionsScored(Event, name="partitions scored", says="All partitions are scored already."):
    """No partition is left to be scored."""


class ScoresPublished(
    Event, name="scores published", says="{to} has the scores of {rows:,} rows of {dataset}, by {version}."
):
    """The scores of a dataset are in their place."""

    to: str
    rows: int
    dataset: str
    version: str


class BackupLacks(Troubled, name="backup lacks", says="Not in the backup: {part} ({reason})."):
    """Something that a person may look for is not in a backup."""

    part: str


class BackupBegan(Event, name="backup began", says="copying {files:,} files, {size_mb:,.1f} MB"):
    """Files are copied into a backup from now on."""

    files: int
    size_mb: float


class RestoreBegan(Event, name="restore began", says="unpacking and verifying {size_mb:,.1f} MB of {made_at}"):
    """A backup is unpacked from now on; nothing of the project has changed yet."""

    size_mb: float
    made_at: str


class RestoreResumed(Event, name="restore resumed", says="finishing the restore that was interrupted here"):
    """An earlier restore has unpacked and verified everything, and was interrupted after that."""


class BytesCopied(Event, name="bytes copied"):
    """So many bytes more are in a backup, or out of it."""

    count: int


class CommitDiffers(
    Event,
    name="commit differs",
    says="the backup was made at commit {made:.12}, this is {here:.12}: `dvc repro` makes again what differs",
):
    """A backup was restored into another commit than the one that it was made at."""

    made: str
    here: str


class DatasetsCheckedOut(Event, name="datasets checked out", says="checking out {names}"):
    """Datasets are taken out of DVC's restored cache."""

    names: str


class SpanLanded(
    Event, name="span landed", says="landed {topic}/{partition} [{start:,}, {end:,}): {records:,} records"
):
    """A span is committed."""

    topic: str
    partition: int
    start: int
    end: int
    records: int


class LandedLate(Event, name="landed late", says="{topic}/{partition}: {gone}."):
    """The first landing of a partition came after the broker had deleted records of it."""

    topic: str
    partition: int
    start: int
    gone: str


class DrillBegan(Event, name="drill began", says="{drill}: {claim}"):
    """A drill begins."""

    drill: str
    claim: str


class SteadyState(Event, name="steady state", says="steady state: {found}"):
    """A check of the steady state, before anything is injected."""

    check: str
    holds: bool
    found: str


class FaultInjected(Event, name="fault injected"):
    """A fault was injected into `target`; `took` if it was seen to have taken. The times are as in `Injection`."""

    fault: str
    target: str
    at_s: float
    at_monotonic: float
    took: bool
    pid: int | None = None
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What was injected into what."""
        done = f"{self.fault} to {self.target}" + (f" (pid {self.pid})" if self.pid else "")
        return f"{done}, {self.detail}" if self.detail else done


class DrillNote(Event, name="drill note", says="{note}"):
    """What a drill's own work has come to, for people."""

    note: str


class DrillJudged(Event, name="drill judged", says="{drill} is {verdict}"):
    """A drill has its verdict: proved, refuted or unknown."""

    drill: str
    verdict: str


class RunKept(Event, name="run kept", says="the files of the refuted run are in {folder}"):
    """The files of a run stay, to be looked at."""

    folder: str


class CleanupFailed(Troubled, name="cleanup failed", says="cleanup failed: {reason}"):
    """A drill has left something behind; its verdict stands."""
