"""When the stream is landed and pinned."""

from airflow.sdk import Param, dag

from koboshi.orchestration.airflow_tasks import TASK_DEFAULTS, pin_task, topics, verb_task

GUIDE = """
### Kafka → landed spans → `cut.json`

1. **land_…** reads each topic from where the last landing ended to its end now, and lands it *raw*: nothing is decoded,
   so nothing can be lost to a bad record. A span (a range of offsets) is planned in the ledger before it is read and
   committed after its file is on disk, so a task that is killed or run twice lands the same ranges once. Its log says
   which offsets were gone before the first landing came, and which open transaction holds records back: neither is
   a failure.
2. **audit** reads the broker again with another client and compares every record with what was landed. What retention
   or compaction has taken away there since is counted, and is no difference.
3. **pin** moves `cut.json`, the lock file of the stream, forward to what was landed, and emits the asset `stream-cut`:
   that starts the DAG `train`. When nothing new was landed, this task is *skipped*, and nothing is trained.

Run it as often as you like: a run that finds nothing new changes nothing. A task that fails at once, without retries,
met something that no retry heals (exit code 65); the last lines of its log say what to do.
"""


@dag(
    dag_id="ingest",
    description="Land the stream, compare it with the broker, pin what was landed.",
    doc_md=GUIDE,
    schedule=None,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=["koboshi", "stream"],
    params={
        "span_records": Param(
            None, type=["null", "integer"], minimum=1, description="Longest span, in records; empty: as in koboshi.toml"
        )
    },
)
def ingest() -> None:
    """Topics land side by side; the cut moves only after the audit agrees."""
    landed = [
        verb_task(f"land_{topic}", "ingest", "run", "--topic", topic, flags={"--span-records": "span_records"})
        for topic in topics()
    ]
    landed >> verb_task("audit", "ingest", "audit") >> pin_task()


ingest()
