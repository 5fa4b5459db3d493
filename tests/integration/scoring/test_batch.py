"""Score once, do nothing the second time, and refuse with one sentence what does not fit."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import stamina

from koboshi.datasets.build import building, open_verified
from koboshi.errors import BadInput, Corrupt, LeaseTaken, Permanent
from koboshi.events import in_words, unheard
from koboshi.refs import ModelRef
from koboshi.scoring import batch
from koboshi.scoring.batch import Order, find_version, score
from koboshi.scoring.partition_unit import Version, model_of
from koboshi.scoring.polars_partition import FORMAT_VERSION
from koboshi.serving.engine import load
from koboshi.training import attach
from tests.support.artefacts import flip_a_byte
from tests.support.local_pool import AFTER, BEFORE, LocalPool
from tests.support.models import COLUMNS
from tests.support.scorings import PARTITIONS, LocalJobs, files_of, place_in, recorded_version, small_order

JOB = Path("score_batch.py")
Recorded = Callable[[str], Version]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """`recorded("boosting")`, shared, since to make one takes longer than to score with it."""
    return functools.cache(lambda kind: recorded_version(tmp_path_factory.mktemp(kind), kind))


@pytest.fixture
def order(recorded: Recorded, tmp_path: Path) -> Order:
    return small_order(tmp_path, recorded("boosting"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "POLL_S", 0.0)
    model_of.cache_clear()


def scored(order: Order, jobs: LocalJobs) -> list[str]:
    said: list[str] = []
    score(order, place_in(order.to.parents[1]), jobs, JOB, in_words(said.append))
    return said


def answers_of(order: Order) -> list[Any]:
    """What a replica answers to the same rows, partition by partition, each in one request."""
    model = load(order.version.cache / order.version.ref.sha256).model
    answers: list[Any] = []
    for name in ("a.parquet", "deep/b.parquet"):
        rows = pl.read_parquet(order.dataset / name)
        for start in range(0, rows.height, order.rows):
            part = rows.slice(start, order.rows)
            columns = {c: [float("nan") if v is None else v for v in part[c].to_list()] for c in COLUMNS}
            answers += model.predict(columns)
    return answers


@pytest.mark.parametrize("kind", ["boosting", "forest"])
def test_the_scores_are_the_replicas_answers_to_the_bit(tmp_path: Path, recorded: Recorded, kind: str) -> None:
    """Equal as numbers and as bits, in the dataset's order, with the columns that were to be kept."""
    order = small_order(tmp_path, recorded(kind))
    said = scored(order, LocalJobs())
    dataset = open_verified(order.to)
    table = pl.concat([pl.read_parquet(path) for path in dataset.under("part-")])
    assert table.columns == ["id", "prediction_0", "prediction_1"]
    assert table["id"].to_list() == [*range(130), *range(75)]
    answers = table.select("prediction_0", "prediction_1").to_numpy()
    assert answers.tobytes() == np.array(answers_of(order)).tobytes()
    assert said[0].endswith("205 rows in 5 partitions, by m version 1.")
    told = json.loads(dataset.path("scoring.json").read_text())
    assert (told["dataset"], told["model"]["sha256"]) == (open_verified(order.dataset).sha256, order.version.ref.sha256)
    assert [part["name"] for part in told["partitions"]] == [path.stem for path in dataset.under("part-")]


def test_a_second_run_does_nothing_and_says_so(order: Order) -> None:
    scored(order, LocalJobs())
    before, jobs = files_of(order.to), LocalJobs()
    (said,) = scored(order, jobs)
    assert said.endswith("nothing is scored.")
    assert (jobs.submitted, files_of(order.to)) == ([], before)


@pytest.mark.parametrize("spoil", ["removed", "flipped"])
def test_scores_that_were_lost_are_published_again_without_scoring(order: Order, spoil: str) -> None:
    """From the committed partitions, the same bytes."""
    scored(order, LocalJobs())
    before, jobs = files_of(order.to), LocalJobs()
    part = sorted(order.to.glob("part-*"))[2]
    part.unlink() if spoil == "removed" else flip_a_byte(part)
    said = scored(order, jobs)
    assert "All partitions are scored already." in said
    assert (jobs.submitted, files_of(order.to)) == ([], before)


def test_a_committed_partition_that_was_changed_is_scored_again(order: Order, tmp_path: Path) -> None:
    """I2: found before it is published; only that one is done again, and the bytes are the same."""
    scored(order, LocalJobs())
    before, jobs = files_of(order.to), LocalJobs()
    (kept,) = tmp_path.glob("checkpoints/*/part-00003-of-00005/*.ckpt")
    flip_a_byte(kept)
    (order.to / "scoring.json").unlink()
    flip_a_byte(order.to / "manifest.json")
    with pytest.raises(BadInput, match="holds no scores"):
        scored(order, jobs)
    for path in order.to.iterdir():
        path.unlink()
    order.to.rmdir()
    scored(order, jobs)
    assert jobs.begun == ["part-00003-of-00005"]
    assert files_of(order.to) == before


def test_dead_workers_cost_the_partition_in_hand(order: Order, tmp_path: Path) -> None:
    """Two die, one before and one after its file was written: the same bytes, two partitions twice."""
    undisturbed = dataclasses.replace(order, to=tmp_path / "undisturbed")
    scored(undisturbed, LocalJobs())
    place, jobs = place_in(tmp_path / "other"), LocalJobs(lambda: LocalPool(deaths))
    deaths = [("part-00001-of-00005", 1, BEFORE), ("part-00004-of-00005", 1, AFTER)]
    score(order, place, jobs, JOB, unheard)
    assert files_of(order.to) == files_of(undisturbed.to)
    assert len(jobs.begun) == PARTITIONS + 2


def test_another_version_takes_the_place_of_the_scores_before(order: Order) -> None:
    scored(order, LocalJobs())
    newer = dataclasses.replace(order.version, ref=dataclasses.replace(order.version.ref, version=2))
    jobs = LocalJobs()
    scored(dataclasses.replace(order, version=newer), jobs)
    assert len(jobs.begun) == PARTITIONS
    assert json.loads((order.to / "scoring.json").read_text())["model"]["version"] == 2


def test_what_the_model_refuses_is_not_tried_again_and_names_the_partition(order: Order, recorded: Recorded) -> None:
    """A model of numbers refuses what is infinite; the other partitions are scored, and nothing is published."""
    values = {key: [0.0, 1.0, float("inf"), 2.0] for key in COLUMNS}
    with building(order.dataset) as folder:
        pl.DataFrame({"id": [1, 2, 3, 4], **values}).write_parquet(folder / "rows.parquet")
    version, jobs = recorded("logistic"), LocalJobs()
    with pytest.raises(Permanent, match=r"part-00002-of-00004 \(rows 2 to 3 of .*rows.parquet\) cannot be scored"):
        scored(dataclasses.replace(order, version=version, rows=1), jobs)
    assert sorted(jobs.begun) == [f"part-0000{at}-of-00004" for at in range(4)]
    assert not order.to.exists()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"b": None}, "needs column b"),
        ({"b": pl.Series(["x"])}, "is String, and the model takes double"),
        ({"id": None}, "id cannot be kept"),
    ],
)
def test_columns_that_do_not_fit_end_it_before_a_job(order: Order, columns: dict[str, Any], said: str) -> None:
    row = {"id": pl.Series([1]), **{name: pl.Series([1.0]) for name in COLUMNS}, **columns}
    with building(order.dataset) as folder:
        pl.DataFrame({name: values for name, values in row.items() if values is not None}).write_parquet(
            folder / "rows.parquet"
        )
    jobs = LocalJobs()
    with pytest.raises(BadInput, match=said):
        scored(order, jobs)
    assert (jobs.submitted, order.to.exists()) == ([], False)


def test_whole_numbers_are_taken_where_the_model_wants_others(order: Order) -> None:
    """As the scoring protocol does it."""
    with building(order.dataset) as folder:
        pl.DataFrame({"id": [1, 2], **{key: [3, None] for key in COLUMNS}}).write_parquet(folder / "rows.parquet")
    scored(order, LocalJobs())
    model = load(order.version.cache / order.version.ref.sha256).model
    answers = model.predict({key: [3.0, float("nan")] for key in COLUMNS})
    (part,) = open_verified(order.to).under("part-")
    assert pl.read_parquet(part).select("prediction_0", "prediction_1").rows() == [tuple(row) for row in answers]


def test_a_dataset_without_rows_or_with_a_flipped_byte_is_refused(order: Order) -> None:
    jobs = LocalJobs()
    flip_a_byte(order.dataset / "a.parquet")
    with pytest.raises(Corrupt, match=r"a\.parquet is not as it was made"):
        scored(order, jobs)
    with building(order.dataset) as folder:
        (folder / "notes.json").write_text("{}")
    with pytest.raises(BadInput, match="no rows"):
        scored(order, jobs)
    assert jobs.submitted == []


def test_scores_take_no_other_ones_place(order: Order) -> None:
    """Neither the dataset itself nor a folder in it, nor one that holds something else."""
    other = order.to.parent / "other"
    other.mkdir()
    for to, said in ((order.dataset, "inside"), (order.dataset / "scored", "inside"), (other, "holds no scores")):
        with pytest.raises(BadInput, match=said):
            scored(dataclasses.replace(order, to=to), LocalJobs())


def test_scores_of_a_newer_format_are_left_alone(order: Order) -> None:
    with building(order.to) as folder:
        (folder / "scoring.json").write_text(json.dumps({"format": FORMAT_VERSION + 1, "key": "k"}))
    before = files_of(order.to)
    with pytest.raises(BadInput, match="upgrade koboshi"):
        scored(order, LocalJobs())
    assert files_of(order.to) == before


def test_who_publishes_at_the_same_time_publishes_the_same(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one has the lock, then its scores are there: nothing is left to do, and nothing is published twice."""
    real, calls = batch.publish, list[str]()

    def publish(to: Path, description: dict[str, Any], parts: Any) -> None:
        calls.append(description["key"])
        real(to, description, parts)
        raise LeaseTaken("somebody else was just at it.")

    monkeypatch.setattr(batch, "publish", publish)
    with stamina.set_testing(True, attempts=2):
        scored(order, LocalJobs())
    assert len(calls) == 1
    assert open_verified(order.to)


class Registry:
    """Versions of a model, one of them without a digest, and a slot."""

    name, tracking_uri = "m", "http://127.0.0.1:9"
    known: ClassVar = {1: ModelRef("m", 1, "k", "a" * 64), 2: ModelRef("m", 2, "", "")}

    def aliased(self, alias: str) -> int | None:
        return {"champion": 1, "gone": 7}.get(alias)

    def version(self, number: int) -> ModelRef | None:
        return self.known.get(number)

    def versions(self) -> list[ModelRef]:
        return list(self.known.values())

    def source(self, ref: ModelRef) -> str:
        return f"somewhere/{ref.version}"


def test_the_version_is_the_one_asked_for_or_the_slots(tmp_path: Path) -> None:
    registry: Any = Registry()
    by_slot = find_version(registry, None, "champion", tmp_path)
    assert by_slot == find_version(registry, 1, "", tmp_path)
    assert (by_slot.ref, by_slot.source, by_slot.name) == (Registry.known[1], "somewhere/1", "m version 1")


@pytest.mark.parametrize(
    ("number", "slot", "said"),
    [
        (None, "nobody", "slot nobody of model m points at no version"),
        (None, "gone", "no version 7: MLflow knows 1, 2"),
        (3, "", "no version 3: MLflow knows 1, 2"),
        (2, "", "version 2 has no recorded digest"),
    ],
)
def test_a_version_that_cannot_be_used_is_one_sentence(number: int | None, slot: str, said: str) -> None:
    registry: Any = Registry()
    with pytest.raises(BadInput, match=said):
        find_version(registry, number, slot, Path())
