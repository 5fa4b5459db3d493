"""train: works through a training specification on a pool of Ray actors.

    python ray_jobs/train.py SPECIFICATION.json JOB-NAME

The one job entry as a script: it may be run by hand on any machine of the cluster, with RAY_ADDRESS set. Run twice,
even at once, only one driver commits: it goes on from the committed steps, and does nothing if nothing is left to do.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("koboshi.training.job", run_name="__main__", alter_sys=True)
