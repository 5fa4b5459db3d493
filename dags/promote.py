"""When a candidate becomes the champion: after each training, or by hand."""

from koboshi.airflow import promote_dag

dag = promote_dag("promote")
