"""The runs of Airflow that drills kill."""

from koboshi.airflow import drill_dags

drill_ingest, drill_train = drill_dags()
