"""One training by koboshi or by a peer, as a Ray job: started, and watched from outside."""

import dataclasses
import time
from collections.abc import Mapping

from benchmarks.witness import Witness
from koboshi.errors import Transient, Unavailable
from koboshi.settings import Settings, required
from koboshi.training import TrainingSpec
from koboshi.training.on_ray.ray_submit import RayJobs, submission

POLL_S = 0.02
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Freed memory is kept: else it is luck whether each step faults fifty thousand pages in, a fifth of its time.
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}
# Ray Train's controller looks ten times as often, and gives a worker that hangs seconds in the place of ten minutes.
TUNED = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "30",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """A way to train: the job's script, and what is set in its environment.

    `steps_a_fault` is how many steps there have to be for each fault, so that the run goes on until it has settled.
    """

    name: str
    script: str
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ours: bool = False
    steps_a_fault: int = 50


# Its spare is warm again some four seconds after a kill, which is nearly three hundred of the shortest steps.
OURS = Contender("koboshi", "ray_jobs/train.py", ours=True, steps_a_fault=400)
PEERS = (
    # Its controller takes in one report at each look, every two seconds.
    Contender("Ray Train v2", "benchmarks/peers/ray_train.py", steps_a_fault=8),
    Contender("Ray Train v2, tuned", "benchmarks/peers/ray_train.py", TUNED),
    Contender("Ray Tune", "benchmarks/peers/ray_tune.py"),
    Contender("restarted actor", "benchmarks/peers/restarted_actor.py"),
    Contender("retried task", "benchmarks/peers/retried_task.py"),
)


class Run(Witness):
    """A job that was submitted; everything is read from outside of it."""

    def __init__(self, settings: Settings, contender: Contender, spec: TrainingSpec) -> None:
        """Submit it."""
        super().__init__(spec, ours=contender.ours)
        self.contender, self._name = contender, spec.job_name(1)
        self._jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
        ordered = submission(spec, settings.project / contender.script)
        env = {**ordered.env, **ONE_THREAD, **KEPT_MEMORY, **contender.env}
        self.submitted_s = time.time()
        self._jobs.submit(self._name, ordered.entrypoint(self._name), env)

    @property
    def over(self) -> bool:
        """Whether the job has ended, well or not."""
        job = self._jobs.find(self._name)
        return job is not None and job.status in ENDED

    def wait(self, limit_s: float) -> None:
        """Until it has ended well; raises with its last words."""
        deadline = time.monotonic() + limit_s
        while not self.over:
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.contender.name} has not ended after {limit_s:.0f} s: {self._last_words()}.")
            time.sleep(0.3)
        job = self._jobs.find(self._name)
        if job is None or job.status != "SUCCEEDED":
            raise Transient(f"{self.contender.name} failed: {self._last_words()}")

    def _last_words(self) -> str:
        lines = [line for line in self._jobs.log(self._name).splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it has written nothing"
