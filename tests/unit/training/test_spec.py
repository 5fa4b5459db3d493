"""The specification crosses to the job unchanged, and its key covers what decides the outcome."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef
from koboshi.training import RunConfig, TrainingSpec, UnitSpec
from koboshi.training.data_parallel import data_parallel
from koboshi.training.spec import training_key
from tests.support.splittable import FOREST
from tests.support.trainings import CHAIN, TABLE, chain_spec

UNITS = {"a": UnitSpec(CHAIN, {"seed": "a"}, 3), "b": UnitSpec(CHAIN, {"seed": "b"}, 3)}


def test_json_and_back(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={"b": 2, "a": 1})
    again = TrainingSpec.from_json(spec.to_json())
    assert again == spec
    assert list(again.units) == ["b", "a"]
    assert again.job_name(2) == f"{spec.key[:16]}-2"
    assert again.factories == (CHAIN,)


def test_another_format_is_refused(tmp_path: Path) -> None:
    text = chain_spec(tmp_path, steps={"a": 1}).to_json().replace('"format": 2', '"format": 9')
    with pytest.raises(BadInput, match="format 9"):
        TrainingSpec.from_json(text)


def test_the_same_inputs_have_the_same_key_whatever_their_order() -> None:
    """I6: everybody who wants this training asks for it under one name."""
    turned = dict(reversed(UNITS.items()))
    assert training_key(TABLE, UNITS, code="c") == training_key(
        DatasetRef("elsewhere", TABLE.manifest_sha256), turned, code="c"
    )


@pytest.mark.parametrize(
    ("table", "units", "digests"),
    [
        (DatasetRef("table", "u" * 64), UNITS, {"code": "c"}),
        (TABLE, {"a": UNITS["a"]}, {"code": "c"}),
        (TABLE, {**UNITS, "b": dataclasses.replace(UNITS["b"], steps=4)}, {"code": "c"}),
        (TABLE, {**UNITS, "b": dataclasses.replace(UNITS["b"], params={"seed": "c"})}, {"code": "c"}),
        (TABLE, UNITS, {"code": "d"}),
        (TABLE, UNITS, {"code": "c", "salt": "s"}),
    ],
)
def test_whatever_decides_the_outcome_changes_the_key(table, units, digests) -> None:  # type: ignore[no-untyped-def]
    assert training_key(table, units, **digests) != training_key(TABLE, UNITS, code="c")


def test_a_worker_is_warm_for_what_a_share_is_a_share_of() -> None:
    units = data_parallel(FOREST, 2)
    spec = TrainingSpec("k", TABLE, {**units, **UNITS}, RunConfig("/p", "/s", "sqlite://"))
    assert spec.factories == ("koboshi.training.data_parallel:share", "koboshi.training.sklearn_units:trees", CHAIN)


@pytest.mark.parametrize("steps", [0, -1, True, 2.0, "3", 2**31, None])
def test_a_unit_without_a_sensible_number_of_steps_is_refused_at_once(steps: object) -> None:
    """No attempt is spent on a training that cannot be done."""
    with pytest.raises(BadInput, match=r"a unit of a:b has steps = .*: give a whole number from 1"):
        UnitSpec("a:b", {}, steps)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"units": {}}, "the training k has no units"),
        ({"units": {"..": UNITS["a"]}}, r"the unit '\.\.' leads to another folder"),
        ({"units": {"../../escape": UNITS["a"]}}, "leads to another folder"),
        ({"units": {"/abs": UNITS["a"]}}, "is absolute"),
        ({"units": {"": UNITS["a"]}}, "is empty"),
        ({"units": {"a//b": UNITS["a"]}}, "has an empty part"),
        ({"units": {"a\0": UNITS["a"]}}, "holds NUL"),
        ({"units": {"x" * 256: UNITS["a"]}}, "longer than 255 bytes"),
        ({"key": "../../up"}, "leads to another folder|holds /"),
        ({"key": ""}, "is empty"),
        ({"threads": 0}, "threads = 0"),
    ],
)
def test_what_cannot_be_trained_or_leads_out_of_its_folder_is_refused_at_once(
    change: dict[str, Any], said: str
) -> None:
    spec = TrainingSpec("k", TABLE, UNITS, RunConfig("/p", "/s", "sqlite://"))
    with pytest.raises(BadInput, match=said):
        dataclasses.replace(spec, **change)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"units": {"a": {"factory": "a:b", "params": {}, "steps": 0}}}, "steps = 0"),
        (
            {"units": {"a": {"factory": "a:b", "params": {}, "steps": 1.5}}},
            r"units\.a\.steps: Input should be a valid integer",
        ),
        (
            {"units": {"a": {"factory": "a:b", "params": {}, "steps": True}}},
            r"units\.a\.steps: Input should be a valid integer",
        ),
        (
            {"units": {"a": {"factory": "a:b", "params": [], "steps": 1}}},
            r"units\.a\.params: Input should be a valid mapping|units\.a\.params: Input should be an object",
        ),
        ({"units": {"a": {"factory": "a:b", "steps": 1}}}, r"units\.a\.params: Field required"),
        (
            {"units": {"a": {"factory": "a:b", "params": {}, "steps": 1, "gnag": ""}}},
            r"units\.a\.gnag: Unexpected keyword argument",
        ),
        ({"units": {"a": 3}}, r"units\.a: Input should be an object"),
        ({"units": []}, "units: Input should be an object"),
        ({"key": 7}, "key: Input should be a valid string"),
        ({"place": {"project": "/p"}}, r"place\.state_dir: Field required; place\.ledger_url: Field required"),
        ({"format": 99}, "format 99"),
    ],
)
def test_a_specification_that_does_not_fit_says_which_field_and_what_is_wanted(wrong: object, said: str) -> None:
    spec = TrainingSpec("k", TABLE, UNITS, RunConfig("/p", "/s", "sqlite://"))
    with pytest.raises(BadInput, match=said):
        TrainingSpec.from_json(json.dumps({**json.loads(spec.to_json()), **wrong}))  # type: ignore[dict-item]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "[" * 100_000, '{"format": 2}'])
def test_what_is_no_specification_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="specification"):
        TrainingSpec.from_json(text)
