"""Steps that are done and do not count yet, because their states are in their workers' memory alone."""

from collections import defaultdict
from collections.abc import Mapping

from koboshi.refs import CheckpointRef
from koboshi.training.pool import StepDone
from koboshi.training.run_state import RunState

Row = tuple[CheckpointRef, Mapping[str, float]]


class Uncommitted:
    """By unit, the metrics of its steps since the newest committed one."""

    def __init__(self, run_key: str) -> None:
        self._run_key = run_key
        self._metrics: dict[str, dict[int, Mapping[str, float]]] = defaultdict(dict)

    def done(self, state: RunState, event: StepDone) -> list[Row]:
        """Take a step in; returns the rows that can be committed now: up to the newest state that is durable."""
        unit, durable = state.at[event.worker], event.result.checkpoint
        waiting = self._metrics[unit]
        waiting[state.units[unit].next] = event.result.metrics
        if durable is None:
            return []
        ready = sorted(step for step in waiting if step <= durable.step)
        return [
            (durable if step == durable.step else CheckpointRef(self._run_key, unit, step), waiting.pop(step))
            for step in ready
        ]

    def forget(self, unit: str) -> None:
        """Its worker is gone, and what it had in memory with it."""
        self._metrics.pop(unit, None)
