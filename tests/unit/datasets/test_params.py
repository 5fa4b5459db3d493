from pathlib import Path

import pytest

from koboshi.datasets.params import Params, load_params
from koboshi.errors import BadInput


class Numbers(Params):
    """A stage's block."""

    trees: int


def test_a_block_becomes_a_frozen_model(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {trees: 3}\n")
    assert load_params(tmp_path, "train", Numbers) == Numbers(trees=3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train: {trees: many}", r'train\.trees in params.yaml is the text "many"; a whole number is wanted\.'),
        ("train: {trees: 3, tres: 1}", r"unknown parameter train\.tres in params.yaml, did you mean trees\?"),
        (
            "train: {trees: 3, a: 1, b: 1}",
            r"parameter train\.a in params.yaml: there are trees; unknown parameter train\.b",
        ),
        ("train: {trees: true}", r"train\.trees in params.yaml is true; a number is wanted\."),
        ("train: {}", r"train\.trees is missing in params.yaml: add it\."),
        ("train:", r"train in params.yaml is empty; a table of names and values is wanted\."),
        ("trian: {trees: 3}", r"unknown block trian in params.yaml, did you mean train\?"),
        ("[train]", "holds no table"),
        ("3", "holds no table"),
        ("train: 2018-13-45", "cannot be read"),
        ("train: " + "[" * 600, "cannot be read"),
        ("other: {}", "has no block train"),
        ("", "has no block train"),
        ("train: [", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_sentence_that_names_the_key(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        load_params(tmp_path, "train", Numbers)


def test_no_file_is_one_sentence_too(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"params\.yaml cannot be read"):
        load_params(tmp_path, "train", Numbers)
