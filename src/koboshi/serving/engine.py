"""From an artefact to a model that answers: kept by digest, verified, loaded by an engine, asked its own example.

Artefacts are shared by the replicas of one machine. An engine serves the models of one of MLflow's flavors and is one
file, `<flavor>_engine.py`, found by its name.
"""

import importlib
import json
import os
import pkgutil
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

import yaml
from filelock import FileLock

from koboshi.errors import BadInput, Corrupt, KoboshiError
from koboshi.files import TEMPORARY_PREFIX, tree_digest
from koboshi.names import one_part
from koboshi.serving.protocol import TYPES, BadRequest, Column, Columns, parse

KEPT_S = 3_600.0
_ENGINE = "_engine"
FLAVORS = tuple(
    found.name.removesuffix(_ENGINE)
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if found.name.endswith(_ENGINE)
)
"""The flavors that there is a `<flavor>_engine.py` for."""


class Model(Protocol):
    """A loaded model. Predictions may run in several threads at once."""

    signature: tuple[Column, ...]

    def predict(self, columns: Columns) -> list[Any]:
        """One answer for each row: a number, a label, or a list of probabilities."""

    def answers(self, columns: Mapping[str, Any]) -> Any:
        """The same answers as an array; columns may be arrays, too."""


class Engine(Protocol):
    """What `<flavor>_engine.py` has."""

    def open_model(self, folder: Path, flavor: Mapping[str, Any], function: str, signature: Sequence[Column]) -> Model:
        """Load the model of a *verified* artefact; `flavor` is what MLmodel says of it, `function` what is served.

        Raises `BadInput` for a model of a kind that is not served, and whatever else the loading raises.
        """


class WrongDigest(Corrupt):
    """A version has another digest than was registered for it, or none was registered."""


class WrongAnswers(Corrupt):
    """A version's predictions for its recorded example are not those that were recorded."""


class Checked:
    """A model with its example: `holds` tells whether it still gives the recorded answers, to the bit."""

    def __init__(self, model: Model, example: Columns, expected: list[Any]) -> None:
        """Keep question and answer beside the model."""
        self.model, self._example, self._expected = model, example, expected

    def holds(self) -> bool:
        """Make a real prediction and compare it."""
        return self.model.predict(self._example) == self._expected


def load(folder: Path) -> Checked:
    """Load a *verified* artefact and check its answers: no engine is a sandbox, so the digest has to be checked before.

    Raises `BadInput` for a model of a kind that is not served, `WrongAnswers` for answers other than those recorded.
    """
    try:
        description = yaml.safe_load((folder / "MLmodel").read_text())
        name = next((name for name in FLAVORS if name in description["flavors"]), FLAVORS[0])
        flavor = description["flavors"][name]
        function = description["flavors"]["python_function"].get("predict_fn", "predict")
        signature = _signature(description["signature"]["inputs"])
        example = parse((folder / "serving_input_example.json").read_bytes(), signature)
        expected = json.loads((folder / "expected_predictions.json").read_text())["predictions"]
    except (OSError, KeyError, TypeError, ValueError, BadRequest) as error:
        raise BadInput(
            f"the artefact is not a scikit-learn model with signature, example and expected predictions ({error!r}): "
            "record it through koboshi.registry.mlflow_runs."
        ) from error
    engine = cast("Engine", importlib.import_module(f"koboshi.serving.{name}{_ENGINE}"))
    try:
        checked = Checked(engine.open_model(folder, flavor, function, signature), example, expected)
        holds = checked.holds()
    except KoboshiError:
        raise
    except Exception as error:
        raise BadInput(f"the model cannot be loaded or asked here ({error!r}): record it again.") from error
    if not holds:
        raise WrongAnswers("predictions for the recorded example differ from those logged: it is not served.")
    return checked


def _signature(inputs: str) -> list[Column]:
    columns = [Column(spec["name"], spec["type"], spec.get("required", True)) for spec in json.loads(inputs)]
    if unknown := [column.name for column in columns if column.type not in TYPES]:
        raise ValueError(f"columns {unknown} have types that are not served")
    return columns


def verified_artefact(cache: Path, sha256: str, fetch: Callable[[Path], Path], what: str) -> Path:
    """The folder `cache/<sha256>`, its bytes checked just now; fetched first when it is missing or spoilt.

    Key: the digest. Commit: the rename of a checked folder to its digest. Under a crash a folder with
    `TEMPORARY_PREFIX` is left, which nobody reads. Replicas that ask at once wait for one download. Raises
    `WrongDigest`, naming the version, when what was fetched has another digest: then nothing is kept.
    """
    target = cache / one_part(sha256, f"the digest of {what}")
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".lock-{sha256}"):
        if not target.is_dir() or tree_digest(target) != sha256:
            _fetch_into(target, sha256, fetch, what)
        os.utime(target)
    return target


def sweep(cache: Path, in_use: Collection[str], kept_s: float = KEPT_S) -> list[str]:
    """Remove artefacts that no replica served last (`in_use`) and nobody has taken for `kept_s`; their names.

    The time spares a replica that is just loading one. Under a crash, or when another replica sweeps too, something is
    left for the next sweep; what was half removed is fetched again when it is wanted, because its digest differs.
    """
    before, swept = time.time() - kept_s, []
    for path in sorted(cache.glob("*")):
        with suppress(FileNotFoundError):
            if path.is_dir() and path.name not in in_use and path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)
                swept.append(path.name)
    return swept


def _fetch_into(target: Path, sha256: str, fetch: Callable[[Path], Path], what: str) -> None:
    scratch = target.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        fetched = fetch(scratch)
        found = tree_digest(fetched)
        if found != sha256:
            raise WrongDigest(
                f"the artefact of {what} has digest {found[:12]}, but {sha256[:12]} was registered: it is not served; "
                "restore its files, or promote another version."
            )
        shutil.rmtree(target, ignore_errors=True)
        fetched.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
