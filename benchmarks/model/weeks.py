"""The training weeks, pure: the published one, and what follows when it is moved on by seven days each time."""

import datetime

from pipelines.simulator import Simulation
from pipelines.splits import Split

STEP_DAYS = 7


def last_day(simulation: Simulation) -> datetime.date:
    """The last day that is simulated."""
    return simulation.first_day + datetime.timedelta(days=simulation.days - 1)


def end(split: Split) -> datetime.date:
    """The last day of a split's test week."""
    return split.test_start + datetime.timedelta(days=split.test_days - 1)


def weeks(first: Split, last: datetime.date) -> list[Split]:
    """The first split, and each that is seven days later than the one before, as far as its test days are there."""
    found, split = [], first
    while end(split) <= last:
        found.append(split)
        split = split.model_copy(update={"start": split.start + datetime.timedelta(days=STEP_DAYS)})
    return found
