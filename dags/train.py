"""When a candidate is trained: after each move of the cut, or by hand with changed numbers."""

from koboshi.airflow import train_dag

dag = train_dag("train", blocks=("validate", "features", "split", "train", "evaluate"))
