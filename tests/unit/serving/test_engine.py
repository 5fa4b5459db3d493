"""Another kind of model is one file, `<flavor>_engine.py`: what it loads is checked and served as the others are."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from koboshi.errors import BadInput, Corrupt
from koboshi.serving import engine

SIGNATURE = json.dumps([{"name": "a", "type": "double"}])


class Doubling:
    """A model that needs no library."""

    def __init__(self, signature: Any) -> None:
        self.signature = tuple(signature)

    def predict(self, columns: Any) -> list[Any]:
        return self.answers(columns)

    def answers(self, columns: Any) -> Any:
        return [2 * value for value in columns["a"]]


@pytest.fixture
def doubling(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file of another engine."""
    module = ModuleType("koboshi.serving.doubling_engine")
    module.open_model = lambda _folder, _flavor, _function, signature: Doubling(signature)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(engine, "FLAVORS", ("doubling", "sklearn"))
    return module


def artefact(folder: Path, answers: list[float]) -> Path:
    flavors = "{doubling: {}, python_function: {}}"
    (folder / "MLmodel").write_text(f"flavors: {flavors}\nsignature: {{inputs: '{SIGNATURE}'}}\n")
    (folder / "serving_input_example.json").write_text('{"dataframe_records": [{"a": 1.5}]}')
    (folder / "expected_predictions.json").write_text(json.dumps({"predictions": answers}))
    return folder


def test_the_flavors_are_those_that_there_is_a_file_for() -> None:
    assert engine.FLAVORS == ("sklearn",)


def test_a_model_is_loaded_by_the_engine_of_its_flavor(doubling: ModuleType, tmp_path: Path) -> None:
    checked = engine.load(artefact(tmp_path, [3.0]))
    assert isinstance(checked.model, Doubling)
    assert checked.holds()


def test_it_has_to_give_the_recorded_answers_as_every_model_has(doubling: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="not served"):
        engine.load(artefact(tmp_path, [4.0]))


def test_without_an_engine_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a scikit-learn model"):
        engine.load(artefact(tmp_path, [3.0]))


def test_what_an_engine_says_itself_is_what_is_said(doubling: ModuleType, tmp_path: Path) -> None:
    """A kind that is not served keeps its own sentence; anything else that loading raises becomes one."""

    def refusing(*_: Any) -> Any:
        raise BadInput("only even models are served.")

    def failing(*_: Any) -> Any:
        raise ZeroDivisionError

    doubling.open_model = refusing  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match="only even models are served"):
        engine.load(artefact(tmp_path, [3.0]))
    doubling.open_model = failing  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"cannot be loaded or asked here \(ZeroDivisionError"):
        engine.load(artefact(tmp_path, [3.0]))
