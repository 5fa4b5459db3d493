"""The plan covers each row once, and the key covers what decides the bytes."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from koboshi.refs import ModelRef
from koboshi.scoring.polars_partition import Partition, plan_partitions, scoring_key

MODEL = ModelRef("card-fraud", 3, "k" * 64, "a" * 64)
FILES = st.dictionaries(st.text("abc/", min_size=1, max_size=5), st.integers(0, 500), max_size=6)


def test_a_plan_that_can_be_read() -> None:
    assert plan_partitions({"b": 3, "a": 5, "empty": 0}, 4) == [
        Partition("part-00000-of-00003", "a", 0, 4),
        Partition("part-00001-of-00003", "a", 4, 1),
        Partition("part-00002-of-00003", "b", 0, 3),
    ]


@given(files=FILES, rows=st.integers(1, 200))
def test_each_row_is_in_exactly_one_partition(files: dict[str, int], rows: int) -> None:
    """In order, none longer than asked for, none empty, and no two of one name."""
    plan = plan_partitions(files, rows)
    covered = [(part.file, row) for part in plan for row in range(part.start, part.start + part.rows)]
    assert covered == [(name, row) for name in sorted(files) for row in range(files[name])]
    assert all(0 < part.rows <= rows for part in plan)
    assert sorted({part.name for part in plan}) == [part.name for part in plan]


def test_the_key_changes_with_all_that_decides_the_bytes_and_with_nothing_else() -> None:
    """Idempotent by the dataset's digest, the version and its artefact's digest, and how the scores are written."""
    keys = [
        scoring_key("d" * 64, MODEL, ("id",), 10),
        scoring_key("e" * 64, MODEL, ("id",), 10),
        scoring_key("d" * 64, MODEL, (), 10),
        scoring_key("d" * 64, MODEL, ("id",), 11),
        *(
            scoring_key("d" * 64, dataclasses.replace(MODEL, **{name: value}), ("id",), 10)
            for name, value in {"name": "x", "version": 4, "sha256": "b" * 64}.items()
        ),
    ]
    assert len(set(keys)) == len(keys)
    assert scoring_key("d" * 64, MODEL, ["id"], 10) == keys[0]
