"""For DAG files: a project's whole pipeline as one DAG, and the tasks that DAGs are made of.

from koboshi.airflow import pipeline_dag

dag = pipeline_dag("bikes", schedule=None)
"""

from typing import Any

from airflow.sdk import DAG

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
### Kafka → `cut.json` → datasets → training on Ray → the served model

**land_…** and **audit** are verbs of `koboshi`; **pin** moves `cut.json`, and skips the rest when nothing new was
landed. Then come the stages of `dvc.yaml`, each reproduced by DVC as far as something has changed. **register**,
**compare** and **promote** make the model a version, judge it, and move the alias; **served** waits until every
replica answers with it. A task that fails at once, without retries, met something that no retry heals (exit code 65).
"""

__all__ = ["pipeline_dag", "stage_task", "verb_task"]


def pipeline_dag(dag_id: str, *, schedule: Any = None, **options: Any) -> DAG:
    """The flow of a project: land, audit, pin, the stages of dvc.yaml, register, compare, promote, served.

    `options` are those of Airflow's DAG. Each task starts a command; 65 fails it at once, 75 and kills are retried.
    """
    form = {**promote_box(), **trigger_form()}
    given = {"doc_md": GUIDE, "max_active_runs": 1, "default_args": TASK_DEFAULTS, "tags": ["koboshi"], **options}
    with DAG(dag_id, schedule=schedule, params=form, **given) as dag:
        landed = [verb_task(f"land_{topic}", "ingest", "run", "--topic", topic) for topic in topics()]
        done = landed >> verb_task("audit", "ingest", "audit") >> pin_task()
        *earlier, last = stages_of_project()
        for stage in earlier:
            done = done >> stage_task(stage)
        done = done >> stage_task(last, outlets=[CANDIDATE])
        outcomes = promotion_task("promote", PROMOTION)
        done >> candidate_task("register", PROMOTION) >> candidate_task("compare", PROMOTION) >> outcomes
        served_task(outcomes)
    return dag
