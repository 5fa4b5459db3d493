"""For DAG files: a project's whole pipeline as one DAG, and the tasks that DAGs are made of.

from koboshi.airflow import pipeline_dag

dag = pipeline_dag("bikes", schedule=None)
"""

from typing import Any

from airflow.sdk import DAG, Param

from koboshi.orchestration.airflow_tasks import (
    CANDIDATE,
    TASK_DEFAULTS,
    candidate_task,
    pin_task,
    promote_box,
    promotion_task,
    served_task,
    stage_task,
    stages_of_project,
    topics,
    trigger_form,
    verb_task,
)

PROMOTION = "koboshi.project.promotion"
GUIDE = """
### Kafka → `cut.json` → datasets → training on Ray → a candidate

**land_…** and **audit** are verbs of `koboshi`; **pin** moves `cut.json`, and skips the rest when nothing new was
landed. Then come the stages of `dvc.yaml`, each reproduced by DVC as far as something has changed. The last one
announces the candidate, which starts the DAG of the promotion. A task that fails at once, without retries, met
something that no retry heals (exit code 65); the last lines of its log say what to do.
"""
PROMOTION_GUIDE = """
### Candidate → model version → champion → the replicas

**register** makes the candidate a version, **compare** judges it beside all that was served before, **promote** moves
the alias if it is not worse, **served** waits until every replica answers with it. A refusal is a green run: the log of
**compare** says why. An experiment is promoted only if the form's box says so.
"""
DRILL_GUIDE = """
### Tasks to be killed

`koboshi drill run train-task-killed scheduler-killed` triggers these runs and kills what runs them, to prove that your
own runs survive that. They are made of the same parts as `ingest` and `train`: **land** and **audit** are verbs of
`koboshi`, **train** is a stage that DVC reproduces.

Each run works in the workspace that its parameter names: a folder that the drill has made, with a dvc.yaml and a
koboshi.toml of its own, a topic of its own and a ledger of its own. So nothing of yours is landed, trained or promoted
by it. The drill removes workspace and run when it is proved; there is nothing to trigger by hand.
"""

__all__ = ["drill_dags", "pipeline_dags", "stage_task", "verb_task"]


def pipeline_dags(dag_id: str, *, schedule: Any = None, **options: Any) -> tuple[DAG, DAG]:
    """The flow of a project up to the candidate, and its promotion, which the candidate starts.

    `options` are those of Airflow's DAG. Each task starts a command; 65 fails it at once, 75 and kills are retried.
    """
    given = {"max_active_runs": 1, "default_args": TASK_DEFAULTS, "tags": ["koboshi"], **options}
    with DAG(dag_id, schedule=schedule, params=trigger_form(), doc_md=GUIDE, **given) as pipeline:
        landed = [verb_task(f"land_{topic}", "ingest", "run", "--topic", topic) for topic in topics()]
        done = landed >> verb_task("audit", "ingest", "audit") >> pin_task()
        *earlier, last = stages_of_project()
        for stage in earlier:
            done = done >> stage_task(stage)
        done >> stage_task(last, outlets=[CANDIDATE])
    workspace = {"workspace": Param("project", type="string", description="Where the candidate was trained")}
    form = {**workspace, **promote_box()}
    with DAG(f"{dag_id}_promote", schedule=[CANDIDATE], params=form, doc_md=PROMOTION_GUIDE, **given) as promotion:
        outcomes = promotion_task("promote", PROMOTION)
        candidate_task("register", PROMOTION) >> candidate_task("compare", PROMOTION) >> outcomes
        served_task(outcomes)
    return pipeline, promotion


def drill_dags() -> tuple[DAG, DAG]:
    """What the drills of orchestration kill: tasks of the same parts, in a workspace of the drill's own."""
    form = {"workspace": Param("", type="string", description="Where the drill works")}
    given: dict[str, Any] = {"max_active_runs": 4, "default_args": TASK_DEFAULTS, "tags": ["koboshi", "drill"]}
    given |= {"params": form, "doc_md": DRILL_GUIDE}
    with DAG(
        "drill_ingest", schedule=None, description="A drill: land and audit a topic of its own.", **given
    ) as ingest:
        verb_task("land", "ingest", "run") >> verb_task("audit", "ingest", "audit")
    with DAG(
        "drill_train", schedule=None, description="A drill: a training in a workspace of its own.", **given
    ) as train:
        stage_task("train", pool="default_pool")  # it waits for no other run of DVC: its workspace is its own
    return ingest, train
