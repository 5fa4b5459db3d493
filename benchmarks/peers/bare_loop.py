"""No machinery: one Ray task for each unit, which does its steps one after another and keeps nothing of them."""

import os

import ray

from benchmarks.peers.peer_steps import LoopBegan, LoopEnded, begin, read_order
from koboshi.journal import Journal
from koboshi.training import TrainingSpec
from koboshi.training.spec import make_unit


@ray.remote(num_cpus=1, max_retries=0)  # type: ignore[untyped-decorator]
def loop(spec: TrainingSpec, name: str) -> None:
    """All steps of one unit."""
    journal, ordered = Journal(spec.place.journal), spec.units[name]
    unit = make_unit(ordered.factory, ordered.params)
    unit.start(spec.table)
    journal.emit(LoopBegan(unit=name, pid=os.getpid()))  # where koboshi's worker says that it begins its first step
    for number in range(1, ordered.steps + 1):
        unit.step(number)
    journal.emit(LoopEnded(unit=name))


def main() -> None:
    """All units at once."""
    spec = read_order()
    begin(spec)
    ray.init(log_to_driver=False)
    ray.get([loop.remote(spec, name) for name in spec.units])


if __name__ == "__main__":
    main()
