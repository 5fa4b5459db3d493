"""An artefact is fetched by a process of its own, and what it brings is not trusted."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from koboshi.errors import Corrupt
from koboshi.events import unheard
from koboshi.scoring.batch import score
from tests.support.artefacts import flip_a_byte
from tests.support.scorings import LocalJobs, place_in, recorded_version, small_order


def test_an_artefact_with_a_flipped_byte_is_not_used(tmp_path: Path) -> None:
    """I2, I7: the copy on this machine differs, and what is fetched again does, too: nothing is scored."""
    version, jobs = recorded_version(tmp_path), LocalJobs()
    artefact = version.cache / version.ref.sha256
    source = Path(shutil.copytree(artefact, tmp_path / "store"))
    for folder in (artefact, source):
        flip_a_byte(folder / "model.skops")
    order = small_order(tmp_path, dataclasses.replace(version, source=str(source)))
    with pytest.raises(Corrupt, match="the artefact of m version 1 has digest"):
        score(order, place_in(tmp_path), jobs, Path("score_batch.py"), unheard)
    assert jobs.submitted == []
