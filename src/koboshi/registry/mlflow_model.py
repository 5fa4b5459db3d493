"""A model as MLflow keeps it: a folder that is complete in itself, and that can be checked before it is loaded.

Beside MLflow's own files lies `expected_predictions.json`: what the model answers to its input example. Whoever loads
the model asks the same question and wants the same answer, to the bit.
"""

import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.sklearn
import pandas as pd
import skops.io
from mlflow.models import Model, infer_signature

from koboshi.errors import BadInput, Corrupt
from koboshi.files import tree_digest
from koboshi.registry.mlflow_connection import answering

EXPECTED_FILE = "expected_predictions.json"
EXPECTED_FORMAT = 1
# MLflow writes this into what it downloads through the registry; it is not part of what was recorded.
NOT_RECORDED = frozenset({"registered_model_meta"})


def predict_function(model: Any) -> str:
    """What is served of a scikit-learn model: probabilities where it has them."""
    return "predict_proba" if hasattr(model, "predict_proba") else "predict"


def write_model(folder: Path, model: Any, example: pd.DataFrame, identity: Model) -> str:
    """Write a fitted scikit-learn model into a new folder and return the folder's digest (`tree_digest`).

    It is stored as skops, with the types that it needs to be trusted written beside it; that list guards nothing, the
    digest does. The expected predictions are those of the example as it reads back from the file. A model whose answer
    depends on the order in which its threads finish (`n_jobs` > 1 in a forest) cannot be checked so: fit it, or hand it
    over, with `n_jobs=1`.
    """
    function = predict_function(model)
    with warnings.catch_warnings():
        # MLflow compares an index in a way that pandas deprecates; its caller can do nothing about that.
        warnings.simplefilter("ignore", DeprecationWarning)
        mlflow.sklearn.save_model(
            model,
            str(folder),
            mlflow_model=identity,
            signature=infer_signature(example, getattr(model, function)(example)),
            input_example=example,
            pyfunc_predict_fn=function,
            serialization_format="skops",
            skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(model)),
            pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
        )
    read_back = pd.DataFrame(**json.loads((folder / "serving_input_example.json").read_text())["dataframe_split"])
    predictions = getattr(model, function)(read_back.astype(example.dtypes)).tolist()
    (folder / EXPECTED_FILE).write_text(json.dumps({"format": EXPECTED_FORMAT, "predictions": predictions}))
    return tree_digest(folder)


@contextmanager
def verified_model(tracking_uri: str, source: str, sha256: str, what: str) -> Iterator[Any]:
    """Download an artefact, check its digest, and only then load the scikit-learn model; the copy is removed again.

    Raises `Corrupt` when its bytes are not those that were recorded, `BadInput` when it cannot be loaded here.
    """
    with tempfile.TemporaryDirectory(prefix="koboshi-model-") as folder:
        local = download(tracking_uri, source, Path(folder))
        check_digest(local, sha256, what)
        yield _loaded(local, what)


def _loaded(folder: Path, what: str) -> Any:
    """The model; whatever its libraries raise says that this environment cannot load it."""
    try:
        return mlflow.sklearn.load_model(str(folder))
    except Exception as error:
        raise BadInput(f"the model of {what} cannot be loaded here ({error!r}): record it again.") from error


def download(tracking_uri: str, source: str, folder: Path) -> Path:
    """Fetch an artefact's folder from wherever the server keeps it. Raises `Corrupt` where it has no files any more.

    The server is asked first: it answers a download of what is gone as it answers when its storage fails.
    """
    with answering(tracking_uri):
        if not mlflow.artifacts.list_artifacts(source, tracking_uri=tracking_uri):
            raise Corrupt(
                f"there are no files of an artefact at {source}: restore them from a backup, "
                "or train with another seed to make a new model."
            )
        return Path(mlflow.artifacts.download_artifacts(source, dst_path=str(folder), tracking_uri=tracking_uri))


def check_digest(folder: Path, sha256: str, what: str) -> None:
    """Raise `Corrupt` unless the folder's files are those that were recorded."""
    if not sha256:
        raise Corrupt(f"{what} has no recorded digest: register it with koboshi, or point the alias elsewhere.")
    found = tree_digest(folder, without=NOT_RECORDED)
    if found != sha256:
        raise Corrupt(
            f"the artefact of {what} has digest {found[:12]}, but {sha256[:12]} was recorded: "
            "restore its files from a backup, or train with another seed to make a new model."
        )
