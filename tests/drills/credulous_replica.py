"""A replica that takes whatever the slot points at: neither bytes nor answers are compared with what was recorded."""

import argparse
import logging
import tempfile
from pathlib import Path

import mlflow.sklearn

from koboshi.serving.engine import Checked
from koboshi.serving.mlflow_reader import MlflowReader
from koboshi.serving.protocol import Column
from koboshi.serving.replica import Aliased, Replica
from koboshi.serving.sklearn_engine import ScikitModel
from koboshi.serving.uvicorn_server import serve
from koboshi.settings import load_settings, required


class Unasked(Checked):
    def holds(self) -> bool:
        return True


class CredulousReplica(Replica):
    def _checked(self, seen: Aliased) -> Checked:
        with tempfile.TemporaryDirectory() as folder:
            estimator = mlflow.sklearn.load_model(str(self._registry.fetch(seen, Path(folder))))
        return Unasked(ScikitModel(estimator, "predict_proba", [Column(name, "double") for name in "abc"]), {}, [])


def no_check(_folder: Path) -> Checked:
    raise AssertionError("nothing is loaded by way of the checks")


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    for name in ("--slot", "--port", "--name"):
        words.add_argument(name)
    given = words.parse_args()
    logging.basicConfig(level=logging.INFO)
    settings = load_settings()
    reader = MlflowReader(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model, given.slot)
    replica = CredulousReplica(given.name, given.slot, reader, settings.state_dir / "serving", no_check)
    (settings.state_dir / "serving").mkdir(parents=True, exist_ok=True)
    serve(replica, "127.0.0.1", int(given.port))
