"""For DAG files: a project's pipeline as DAGs, and the tasks that DAGs are made of.

from koboshi.airflow import pipeline_dags

pipeline, promotion = pipeline_dags("bikes", schedule=None)
"""

import itertools
from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, Param

from koboshi.orchestration.airflow_tasks import (
    CANDIDATE,
    CUT,
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
INGEST_GUIDE = """
### Kafka → landed spans → `cut.json`

1. **land_…** reads each topic from where the last landing ended to its end now, and lands it *raw*: nothing is decoded,
   so nothing can be lost to a bad record. A span (a range of offsets) is planned in the ledger before it is read and
   committed after its file is on disk, so a task that is killed or run twice lands the same ranges once. Its log says
   which offsets were gone before the first landing came, and which open transaction holds records back: neither is
   a failure.
2. **audit** reads the broker again with another client and compares every record with what was landed. What retention
   or compaction has taken away there since is counted, and is no difference.
3. **pin** moves `cut.json`, the lock file of the stream, forward to what was landed, and emits the asset `stream-cut`:
   that starts the training. When nothing new was landed, this task is *skipped*, and nothing is trained.

Run it as often as you like: a run that finds nothing new changes nothing. A task that fails at once, without retries,
met something that no retry heals (exit code 65); the last lines of its log say what to do.
"""
TRAIN_GUIDE = """
### `cut.json` → datasets → training on Ray → a candidate

Each task is the stage of `dvc.yaml` that has its name: Airflow calls DVC, DVC calls the project's own module. DVC runs
a stage only if something that it depends on has changed, so a second run does nothing and says so. The pool `dvc` lets
one of these tasks run at a time.

**Try something else:** trigger the DAG with changed parameters (an empty field means "as committed"). Such a run is an
experiment: it works in a folder of its own, `.koboshi/workspaces/<digest of the changes>`, and leaves `params.yaml` and
`dvc.lock` as they are. Its candidate is registered and compared with the champion; **nothing that is served changes**,
unless the box `promote_experiment` is on: then it is promoted if it is not worse.

**Break something:** `koboshi kill ray-worker` while `train` runs. The unit that was being trained goes on elsewhere
from its last committed step; the log of this task, Ray's dashboard and MLflow show it.

When the last stage is done, the asset `candidate` starts the promotion.
"""
PROMOTE_GUIDE = """
### Candidate → model version → champion → the replicas

1. **register** makes the best candidate of the evaluation a version of the registered model, once: a version is found
   by the digest of what it was trained from before it is made.
2. **compare** judges it beside the champion and the best that was served before, on the same rows, with the metric that
   chose it and the bound that the project declares (`max_drop`).
3. **promote** moves the alias `champion`, if the candidate is not worse than the bound allows. The intent is in the
   ledger first, so that a crash in between is finished or taken back by the next run.
4. **served** waits until every replica behind the gateway answers with the new version.

A **refusal is a green run**: the log of `compare` says why, `served` is skipped, and the champion stays. A candidate
that is the champion already stays it, and `served` looks whether the replicas have it.

An **experiment** (a training with changed numbers) ends after `compare`, with the verdict in the log: `promote`
and `served` are skipped, unless the box `promote_experiment` was on.

The run is about the candidate that a training has just announced. By hand, name its workspace: `project` is the
committed pipeline, an experiment has the digest that is in the log of its run; to promote one, turn the box on.
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

__all__ = [
    "drill_dags",
    "ingest_dag",
    "pipeline_dags",
    "promote_dag",
    "stage_task",
    "train_dag",
    "verb_task",
]


def ingest_dag(dag_id: str, *, schedule: Any = None, **options: Any) -> DAG:
    """Land the topics side by side, audit, pin; a cut that has moved starts what is scheduled on it."""
    given = _given("Land the stream, compare it with the broker, pin what was landed.", INGEST_GUIDE, options)
    with DAG(dag_id, schedule=schedule, params=_span_form(), **given) as dag:
        _landed({"--span-records": "span_records"})
    return dag


def train_dag(dag_id: str, *, schedule: Any = (CUT,), blocks: tuple[str, ...] = (), **options: Any) -> DAG:
    """The stages of dvc.yaml, in its order, after each move of the cut; the last one announces the candidate.

    The trigger form has the numbers of these `blocks` of params.yaml, or of all.
    """
    given = _given("Make the datasets and train, as far as anything has changed.", TRAIN_GUIDE, options)
    with DAG(dag_id, schedule=_schedule(schedule), params=trigger_form(*blocks), **given) as dag:
        _trained()
    return dag


def promote_dag(dag_id: str, *, schedule: Any = (CANDIDATE,), **options: Any) -> DAG:
    """Register the candidate, compare it, promote it if it may be, wait until it is served."""
    given = _given(
        "Register the best candidate, compare it with the champion, promote it if it may be.", PROMOTE_GUIDE, options
    )
    workspace = Param("project", type="string", description="Where the candidate was trained")
    form = {"workspace": workspace, **promote_box()}
    with DAG(dag_id, schedule=_schedule(schedule), params=form, **given) as dag:
        outcomes = promotion_task("promote", PROMOTION)
        candidate_task("register", PROMOTION) >> candidate_task("compare", PROMOTION) >> outcomes
        served_task(outcomes)
    return dag


def pipeline_dags(dag_id: str, *, schedule: Any = None, **options: Any) -> tuple[DAG, DAG]:
    """The flow of a project up to the candidate as one DAG, and its promotion, which the candidate starts.

    `options` are those of Airflow's DAG. Each task starts a command; 65 fails it at once, 75 and kills are retried.
    """
    given = _given("From the stream to a candidate.", INGEST_GUIDE + TRAIN_GUIDE, options)
    with DAG(dag_id, schedule=schedule, params=trigger_form(), **given) as dag:
        _landed({}) >> _trained()
    return dag, promote_dag(f"{dag_id}_promote", **options)


def _given(description: str, guide: str, options: dict[str, Any]) -> dict[str, Any]:
    own = {"description": description, "doc_md": guide, "max_active_runs": 1, "default_args": TASK_DEFAULTS}
    return {**own, "tags": ["koboshi"], **options}


def _schedule(schedule: Any) -> Any:
    return list(schedule) if isinstance(schedule, tuple) else schedule


def _span_form() -> dict[str, Param]:
    longest = "Longest span, in records; empty: as in koboshi.toml"
    return {"span_records": Param(None, type=["null", "integer"], minimum=1, description=longest)}


def _landed(flags: Mapping[str, str]) -> Any:
    """The last task of the landing."""
    landed = [verb_task(f"land_{topic}", "ingest", "run", "--topic", topic, flags=flags) for topic in topics()]
    pinned = pin_task()
    landed >> verb_task("audit", "ingest", "audit") >> pinned
    return pinned


def _trained() -> Any:
    """The first task of the stages."""
    *earlier, last = stages_of_project()
    tasks = [*map(stage_task, earlier), stage_task(last, outlets=[CANDIDATE])]
    for task, following in itertools.pairwise(tasks):
        task >> following
    return tasks[0]


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
