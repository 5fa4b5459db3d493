"""What the drills of orchestration kill: the tasks of `ingest` and `train`, in a workspace of the drill's own."""

from koboshi.airflow import drill_dags

drill_ingest, drill_train = drill_dags()
