"""What things are called on Ray: in the dashboard, in the process list, and by whoever looks for a worker."""


def actor_name(job: str, number: int) -> str:
    """A worker of a training job; `number` counts those that the job has started."""
    return f"koboshi-{job}-{number}"


def step_name(unit: str, step: int) -> str:
    """A step; a worker that is at it has the process title `ray::` and this name."""
    return f"UnitWorker.{unit}/step-{step}"
