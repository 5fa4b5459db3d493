"""Scores that were measured once."""

import json

import pytest

from koboshi.registry.release import Scores

MEASURE = {"rows": "a", "metric": "auc"}


def never():
    raise AssertionError("it was measured again")


def test_a_score_is_measured_once_for_each_model_and_measure(tmp_path):
    """Another process finds it again; other rows are another measure."""
    assert Scores(tmp_path, MEASURE).of("m1", lambda: 0.5) == 0.5
    assert Scores(tmp_path, MEASURE).of("m1", never) == 0.5
    assert Scores(tmp_path, MEASURE).of("m2", lambda: 0.6) == 0.6
    assert Scores(tmp_path, {**MEASURE, "rows": "b"}).of("m1", lambda: 0.7) == 0.7
    assert Scores(tmp_path, MEASURE).of("m1", never) == 0.5


def test_what_cannot_be_measured_is_not_written_down(tmp_path):
    """The next try measures."""
    with pytest.raises(AssertionError):
        Scores(tmp_path, MEASURE).of("m1", never)
    assert Scores(tmp_path, MEASURE).of("m1", lambda: 0.5) == 0.5


def test_a_score_that_was_measured_again_takes_the_place_of_the_old_one(tmp_path):
    """The candidate is always measured."""
    scores = Scores(tmp_path, MEASURE)
    scores.keep("m1", 0.5)
    assert scores.keep("m1", 0.6) == scores.of("m1", never) == 0.6


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2, "scores": {"m1": 0.1}}', '{"format": 1, "scores": {"m1": "x"}}']
)
def test_a_file_that_is_spoilt_or_of_another_format_is_as_good_as_none(tmp_path, text):
    """It costs time and nothing else."""
    Scores(tmp_path, MEASURE).keep("m1", 0.5)
    [file] = (tmp_path / "cache" / "scores").iterdir()
    file.write_text(text)
    assert Scores(tmp_path, MEASURE).of("m1", lambda: 0.7) == 0.7
    assert json.loads(file.read_text())["scores"] == {"m1": 0.7}
