"""When the pipeline runs: by hand in Airflow, or on a schedule."""

from koboshi.airflow import pipeline_dags

pipeline, promotion = pipeline_dags("bikes", schedule=None)
