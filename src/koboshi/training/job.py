"""The job: works through a specification on a pool of Ray actors.

    python -m koboshi.training.job SPECIFICATION.json JOB-NAME

A training stage and `koboshi score` submit it; by hand it may be run on any machine of the cluster, with RAY_ADDRESS
set. Run twice, even at once, only one driver commits: it goes on from what is committed, and does nothing if there is
nothing left to do.
"""

from koboshi.exits import run_and_exit
from koboshi.training.driver.loop import run_job
from koboshi.training.on_ray.ray_pool import ray_pool

if __name__ == "__main__":
    run_and_exit(lambda: run_job(ray_pool), "job")
