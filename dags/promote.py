"""When a candidate becomes the champion: after each training, or by hand."""

from airflow.sdk import Param, dag

from koboshi.orchestration.airflow_tasks import (
    CANDIDATE,
    TASK_DEFAULTS,
    candidate_task,
    promote_box,
    promotion_task,
    served_task,
)

GUIDE = """
### Candidate → model version → champion → the replicas

1. **register** makes the best candidate of the evaluation a version of the registered model, once: a version is found
   by the digest of what it was trained from before it is made.
2. **compare** judges it beside the champion and the best that was served before, on the same rows, with the metric that
   chose it (`evaluate.select_by`) and the bound in `params.yaml`.
3. **promote** moves the alias `champion`, if the candidate is not worse than the bound allows. The intent is in the
   ledger first, so that a crash in between is finished or taken back by the next run.
4. **served** waits until every replica behind the gateway answers with the new version.

A **refusal is a green run**: the log of `compare` says why, `served` is skipped, and the champion stays. A candidate
that is the champion already stays it, and `served` looks whether the replicas have it.

An **experiment** (a run of `train` with changed numbers) ends after `compare`, with the verdict in the log: `promote`
and `served` are skipped, unless the box `promote_experiment` was on.

The run is about the candidate that the DAG `train` has just announced. By hand, name its workspace: `project` is the
committed pipeline, an experiment has the digest that is in the log of its run; to promote one, turn the box on.
"""

PROGRAM = "pipelines.promote"


@dag(
    dag_id="promote",
    description="Register the best candidate, compare it with the champion, promote it if it may be.",
    doc_md=GUIDE,
    schedule=[CANDIDATE],
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["koboshi", "registry", "serving"],
    params={
        "workspace": Param("project", type="string", description="Where the candidate was trained"),
        **promote_box(),
    },
)
def promote() -> None:
    """Register and compare change nothing that is served; only promote does."""
    outcomes = promotion_task("promote", PROGRAM)
    candidate_task("register", PROGRAM) >> candidate_task("compare", PROGRAM) >> outcomes >> served_task(outcomes)


promote()
