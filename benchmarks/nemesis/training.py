"""A training as its users start it: attained in the background, and attained again as long as that may help."""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import psutil

from koboshi.errors import KoboshiError, Transient
from koboshi.ledger import Ledger
from koboshi.settings import Settings, required
from koboshi.stack.places import find_places
from koboshi.stack.process_table import read_processes
from koboshi.training import TrainingSpec
from koboshi.training.attach import attain
from koboshi.training.ray_submit import RayJobs, submission

CALLS = 10  # of `attain`, as Airflow would try its task again
GONE_WITHIN_S = 30.0
BESIDE = "koboshi.heartbeat.beat_sender"


class AttainedTraining:
    """Runs until all is committed, or nothing more can be done; `failure` says why."""

    def __init__(self, settings: Settings, spec: TrainingSpec, hear: Callable[[str], None]) -> None:
        self._settings, self._spec, self._hear = settings, spec, hear
        self.failure = ""
        self._thread = threading.Thread(target=self._attain, name="attain", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def wait(self, limit_s: float) -> None:
        """Until it has ended; what takes longer has failed."""
        self._thread.join(limit_s)
        if not self.over:
            self.failure = f"it had not ended {limit_s:.0f} s after its last fault"

    def _attain(self) -> None:
        jobs = RayJobs(required(self._settings.ray.jobs_url, "Ray"), self._settings.ray.token_path)
        ordered = submission(self._spec, self._settings.project / self._settings.drills.job)
        with closing(Ledger(self._spec.place.ledger_url)) as ledger:
            for call in range(1, CALLS + 1):
                try:
                    attain(self._spec, jobs, ledger, ordered, self._hear)
                    return
                except Transient as error:
                    self._hear(f"call {call} of {CALLS} is to be tried again: {error}")
                    self.failure = str(error) if call == CALLS else ""
                except KoboshiError as error:
                    self.failure = str(error)
                    return


def orphans(settings: Settings, pids: dict[int, str]) -> list[str]:
    """Who is still there of a training that has ended: its drivers, its workers, and those who beat beside them."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while (left := _left(settings, pids)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def _left(settings: Settings, pids: dict[int, str]) -> list[str]:
    stack = find_places(settings.project, settings.state_dir).stack_id
    beside = [pid for pid, process in read_processes().items() if process.tag == stack and BESIDE in _words(pid)]
    named = [f"{what} (pid {pid})" for pid, what in pids.items() if _is_ours(_words(pid))]
    return [*named, *(f"a beat sender (pid {pid})" for pid in beside)]


def _is_ours(words: str) -> bool:
    """A pid may by now be somebody else's, so it is looked at what the process does."""
    return "UnitWorker" in words or "ray::koboshi-" in words or "train.py" in words


def _words(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""
