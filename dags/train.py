"""When a candidate is trained: after each move of the cut, or by hand."""

from airflow.sdk import dag

from koboshi.orchestration.airflow_tasks import CANDIDATE, CUT, TASK_DEFAULTS, stage_task, trigger_form

GUIDE = """
### `cut.json` → datasets → training on Ray → a candidate

Each task is the stage of `dvc.yaml` that has its name: Airflow calls DVC, DVC calls `python -m pipelines.STAGE`. DVC
runs a stage only if something that it depends on has changed, so a second run does nothing and says so. The pool `dvc`
lets one of these tasks run at a time.

**Try something else:** trigger the DAG with changed parameters (an empty field means "as committed"). Such a run is an
experiment: it works in a folder of its own, `.koboshi/workspaces/<digest of the changes>`, and leaves `params.yaml` and
`dvc.lock` as they are. Its candidate is registered and compared with the champion; **nothing that is served changes**,
unless the box `promote_experiment` is on: then it is promoted if it is not worse.

**Break something:** `koboshi kill ray-worker` while `train` runs. The unit that was being trained goes on elsewhere
from its last committed step; the log of this task, Ray's dashboard and MLflow show it.

When `evaluate` is done, the asset `candidate` starts the DAG `promote`.
"""


@dag(
    dag_id="train",
    description="Make the datasets and train the candidates, as far as anything has changed.",
    doc_md=GUIDE,
    schedule=[CUT],
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["koboshi", "datasets", "training"],
    params=trigger_form("validate", "features", "split", "train", "evaluate"),
)
def train() -> None:
    """The stages of dvc.yaml, in its order."""
    snapshot, validate, features = stage_task("snapshot"), stage_task("validate"), stage_task("features")
    snapshot >> validate >> features >> stage_task("train") >> stage_task("evaluate", outlets=[CANDIDATE])


train()
