"""A training's runs in MLflow while it is under way: parameters at once, the metrics of each step soon after.

What is told here is in the ledger already, and the finished training's record says all of it again: so nothing is lost
when MLflow is away, or when who tells is killed. The next one catches up.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run

from koboshi.ledger import Ledger, steps
from koboshi.registry.mlflow_closing import FAILED, RUNNING, close
from koboshi.registry.mlflow_connection import answering, connect
from koboshi.registry.mlflow_lookup import FINISHED, KEY_TAG, experiment_id, search_runs, the_run
from koboshi.registry.mlflow_metrics import by_step, log_metrics, log_missing_metrics, log_params
from koboshi.registry.mlflow_outbox import TURN_S, delivering
from koboshi.registry.mlflow_runs import child_tags, parent_tags
from koboshi.registry.records import StepRecord, TrainingPlan


class MlflowProgress:
    """Tells MLflow of the steps of one training that were committed since it told last.

    What it has told it remembers for as long as nobody else writes to MLflow under the lease of deliveries, which its
    tokens show; after that, and after any error, it looks again.
    """

    def __init__(self, ledger: Ledger, tracking_uri: str, plan: TrainingPlan) -> None:
        """Nothing is asked or made yet."""
        self._ledger, self._uri, self._plan = ledger, tracking_uri, plan
        self._runs: dict[str, str] = {}
        self._told: set[tuple[str, int]] = set()
        self._token = 0

    def tell(self) -> None:
        """Make the runs that are not there, and log each committed step that they have not.

        Key: the training's key, unit, metric and step. Under a crash anywhere: the next `tell`, or the finished
        training's record, completes it. Raises `LeaseTaken` when somebody else writes just now, `Unavailable`, and
        `Conflict` when MLflow refuses.
        """
        if self._runs and not any(self._new().values()):
            return
        with delivering(self._ledger, wait_s=0) as held:
            if held.lease.token != self._token + 1:
                self._forget()
            self._token = held.lease.token
            try:
                self._write(held.keep)
            except BaseException:
                self._forget()
                raise

    def fail(self, reason: str) -> None:
        """The training cannot be completed: its runs say so. Does nothing where it has none."""
        client = connect(self._uri)
        with delivering(self._ledger, TURN_S), answering(self._uri):
            where = experiment_id(client, self._plan.experiment)
            for run in search_runs(client, where, f"tags.`{KEY_TAG}` = '{self._plan.key}'"):
                if run.info.status != FINISHED:
                    close(client, run, FAILED, reason)

    def _write(self, keep: Callable[[], None]) -> None:
        client = connect(self._uri)
        with answering(self._uri):
            if not self._runs:
                self._begin(client, keep)
            for unit, new in self._new().items():
                keep()
                log_metrics(client, self._runs[unit], by_step(new))
                self._told |= {(unit, step.step) for step in new}

    def _begin(self, client: MlflowClient, keep: Callable[[], None]) -> None:
        plan = self._plan
        where = experiment_id(client, plan.experiment)
        parent = _open(client, the_run(client, where, parent_tags(plan.key)))
        log_params(client, parent, plan.params)
        committed = self._new()
        for unit, params in plan.units.items():
            keep()
            run = _open(client, the_run(client, where, child_tags(plan.key, unit, parent)))
            log_params(client, run, params)
            log_missing_metrics(client, run, by_step(committed[unit]))
            self._told |= {(unit, step.step) for step in committed[unit]}
            self._runs[unit] = run.info.run_id

    def _new(self) -> Mapping[str, Sequence[StepRecord]]:
        found: defaultdict[str, list[StepRecord]] = defaultdict(list)
        for done in steps.committed_of_run(self._ledger, self._plan.key):
            unit, step = done.checkpoint.unit, done.checkpoint.step
            if unit in self._plan.units and (unit, step) not in self._told:
                found[unit].append(StepRecord(step, done.metrics, done.committed_at))
        return found

    def _forget(self) -> None:
        self._runs, self._told = {}, set()


def _open(client: MlflowClient, run: Run) -> Run:
    if run.info.status not in (RUNNING, FINISHED):
        client.update_run(run.info.run_id, RUNNING)
    return run
