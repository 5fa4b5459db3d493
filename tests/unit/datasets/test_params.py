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
        ("train: {trees: many}", r"train\.trees in .*params.yaml: "),
        ("train: {trees: 3, more: 1}", r"train\.more in .*: Extra inputs are not permitted"),
        ("train:", "train in .*params.yaml: "),
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
