"""A training as its users start it: attained, and attained again as long as that may help."""

import threading
from contextlib import closing

from benchmarks.contender import OURS
from benchmarks.witness import Witness
from koboshi.errors import KoboshiError, Transient, Unavailable
from koboshi.events import in_words
from koboshi.ledger import Ledger
from koboshi.settings import Settings, required
from koboshi.training import TrainingSpec
from koboshi.training.attach import ensure_trained
from koboshi.training.on_ray.ray_submit import RayJobs, submission

CALLS = 10  # of `ensure_trained`, as Airflow would try its task again


class AttainedRun(Witness):
    """Goes on in the background until all is committed, or nothing more can be done: the job may die, this does not."""

    contender = OURS

    def __init__(self, settings: Settings, spec: TrainingSpec) -> None:
        """Have it begun."""
        super().__init__(spec)
        self.heard: list[str] = []
        self._settings, self._failure = settings, ""
        self._thread = threading.Thread(target=self._attain, name="ensure_trained", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def wait(self, limit_s: float) -> None:
        """Until it has ended well; raises `Unavailable` with the reason."""
        self._thread.join(limit_s)
        if not self.over:
            raise Unavailable(f"the training had not ended after {limit_s:.0f} s more")
        if self._failure:
            raise Unavailable(f"the training failed: {self._failure}")

    def _attain(self) -> None:
        jobs = RayJobs(required(self._settings.ray.jobs_url, "Ray"), self._settings.ray.token_path)
        ordered = submission(self.spec, self._settings.script(self._settings.drills.job))
        with closing(Ledger(self.spec.place.ledger_url)) as ledger:
            for call in range(1, CALLS + 1):
                try:
                    ensure_trained(self.spec, jobs, ledger, ordered, in_words(self.heard.append))
                    return
                except Transient as error:
                    self.heard.append(f"call {call} of {CALLS} is to be tried again: {error}")
                    self._failure = str(error) if call == CALLS else ""
                except KoboshiError as error:
                    self._failure = str(error)
                    return
