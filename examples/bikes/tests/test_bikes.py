"""The parts of the pipeline that need no stack."""

import json

import bikes


def test_sample_records_are_decoded():
    rows = [json.loads(value) for _, value in bikes.rentals()]
    assert len({row["ride"] for row in rows}) == len(rows) == 6_000
