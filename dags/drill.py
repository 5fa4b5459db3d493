"""What the drills of orchestration run: the tasks of `ingest` and `train`, in a workspace of the drill's own."""

from airflow.sdk import Param, dag

from koboshi.orchestration.airflow_tasks import TASK_DEFAULTS, stage_task, verb_task

GUIDE = """
### Tasks to be killed

`koboshi drill run train-task-killed scheduler-killed` triggers these runs and kills what runs them, to prove that your
own runs survive that. They are made of the same parts as `ingest` and `train`: **land** and **audit** are verbs of
`koboshi`, **train** is a stage that DVC reproduces.

Each run works in the workspace that its parameter names: a folder that the drill has made, with a dvc.yaml and a
koboshi.toml of its own, a topic of its own and a ledger of its own. So nothing of yours is landed, trained or promoted
by it. The drill removes workspace and run when it is proved; there is nothing to trigger by hand.
"""
OPTIONS = {
    "doc_md": GUIDE,
    "max_active_runs": 4,
    "default_args": TASK_DEFAULTS,
    "tags": ["koboshi", "drill"],
    "params": {"workspace": Param("", type="string", description="Where the drill works")},
}


@dag(dag_id="drill_ingest", description="A drill: land and audit a topic of its own.", schedule=None, **OPTIONS)
def drill_ingest() -> None:
    """As in `ingest`, the audit comes after the landing."""
    verb_task("land", "ingest", "run") >> verb_task("audit", "ingest", "audit")


@dag(dag_id="drill_train", description="A drill: a training in a workspace of its own.", schedule=None, **OPTIONS)
def drill_train() -> None:
    """As in `train`, the stage submits the training to Ray, or attaches to it."""
    stage_task("train", pool="default_pool")  # it waits for no other run of DVC: its workspace is its own


drill_ingest()
drill_train()
