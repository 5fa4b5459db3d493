"""The face costs nothing until it is used."""

import subprocess
import sys

DECLARES = """
import sys

import koboshi

project = koboshi.Project.find()
unit = koboshi.boosting(features=["a"], label="b", steps=1)
project.train(on="table", units={"unit": unit}, metric="r2")
print(sorted({"polars", "sklearn", "pandas", "mlflow", "ray", "airflow", "sqlalchemy"} & set(sys.modules)))
"""


def test_importing_koboshi_and_declaring_loads_no_library() -> None:
    done = subprocess.run([sys.executable, "-c", DECLARES], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
