"""score_batch: works through a batch scoring on a pool of Ray actors, partition by partition.

    python ray_jobs/score_batch.py SPECIFICATION.json JOB-NAME

`koboshi score` writes the specification and submits it; by hand it may be run on any machine of the cluster, with
RAY_ADDRESS set. Run twice, even at once, only one driver commits: it goes on with the partitions that are not committed
yet, and does nothing if there are none.
"""

from koboshi.exits import run_and_exit
from koboshi.training.driver.loop import run_job
from koboshi.training.on_ray.ray_pool import ray_pool

if __name__ == "__main__":
    run_and_exit(lambda: run_job(ray_pool), "score_batch")
