"""When the stream is landed and pinned: by hand."""

from koboshi.airflow import ingest_dag

dag = ingest_dag("ingest")
