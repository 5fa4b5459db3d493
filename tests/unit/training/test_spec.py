"""The specification crosses to the job unchanged, and its key covers what decides the outcome."""

import dataclasses
from pathlib import Path

import pytest

from koboshi.errors import BadInput
from koboshi.refs import DatasetRef
from koboshi.training import TrainingSpec, UnitSpec, Workplace
from koboshi.training.data_parallel import data_parallel
from koboshi.training.spec import training_key
from tests.support.candidate_table import SPLIT
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
    units = data_parallel(UnitSpec("pipelines.candidates:forest", {"split": SPLIT, "seed": 7, "trees_a_step": 4}, 3), 2)
    spec = TrainingSpec("k", TABLE, {**units, **UNITS}, Workplace("/p", "/s", "sqlite://"))
    assert spec.factories == ("koboshi.training.data_parallel:share", "pipelines.candidates:forest", CHAIN)
