"""Training on Ray, and what things are called there: in the dashboard, in the process list.

ray_submit.py  Ray's jobs API, how a training is submitted to it, and a training in one call
ray_pool.py    workers as named actors
"""


def actor_name(job: str, number: int) -> str:
    """A worker of a training job; `number` counts those that the job has started."""
    return f"koboshi-{job}-{number}"


def step_name(unit: str, step: int) -> str:
    """A step; a worker that is at it has the process title `ray::` and this name."""
    return f"UnitWorker.{unit}/step-{step}"
