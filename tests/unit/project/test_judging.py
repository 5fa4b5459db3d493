"""Which rows judge the units of a training, and by what: a dataset's own division, and a function that judges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

import koboshi
from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef, open_verified, seal
from koboshi.project import judging
from koboshi.project.project import Project
from koboshi.training.pandas_rows import declared_rows, judged_rows

UNITS = {"trees": koboshi.boosting(features=["hour"], label="bikes", steps=3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a dataset of ten rows."""
    (tmp_path / "koboshi.toml").write_text("")
    table = tmp_path / "data" / "table"
    table.mkdir(parents=True)
    pl.DataFrame({"hour": range(10), "bikes": range(10)}).write_parquet(table / "rows.parquet")
    seal(table)
    return tmp_path


def trained_project(folder: Path, metric: str | None) -> Project:
    project = Project(folder)
    project.train(on="table", units=UNITS, metric=metric)
    return project


class TestAFunctionThatJudges:
    def project(self, folder: Path, found: Mapping[str, Mapping[str, float]]) -> Project:
        project = trained_project(folder, None)

        def all_units(models: Mapping[str, Any], rows: pl.DataFrame, out: Path) -> Mapping[str, Mapping[str, float]]:
            (out / "rows.txt").write_text(str(rows["hour"].to_list()))
            return found

        project.judge(by=lambda: "skill", params=["evaluate"])(all_units)
        return project

    def judged(self, folder: Path, project: Project, out: Path) -> Any:
        assert project.training is not None
        return judging.judged(project, project.training, {"trees": None}, open_verified(folder / "data/table"), out)

    def test_it_gets_the_rows_that_judge_and_decides_by_its_metric(self, folder: Path, tmp_path: Path) -> None:
        project = self.project(folder, {"trees": {"skill": 0.5, "speed": 2.0}})
        assert self.judged(folder, project, tmp_path) == {"trees": {"skill": 0.5, "speed": 2.0}}
        assert (tmp_path / "rows.txt").read_text() == "[8, 9]"
        assert project.judging is not None
        assert project.judging.deciding == "skill"

    def test_of_divided_rows_it_gets_those_of_judge_parquet(self, folder: Path, tmp_path: Path) -> None:
        for name, hours in (("learn", [1, 2]), ("judge", [3])):
            pl.DataFrame({"hour": hours, "bikes": hours}).write_parquet(folder / "data/table" / f"{name}.parquet")
        seal(folder / "data/table")
        self.judged(folder, self.project(folder, {"trees": {"skill": 0.5}}), tmp_path)
        assert (tmp_path / "rows.txt").read_text() == "[3]"

    @pytest.mark.parametrize("found", [{}, {"trees": {"speed": 1.0}}])
    def test_a_unit_without_the_deciding_metric_is_named(self, folder: Path, tmp_path: Path, found: Any) -> None:
        with pytest.raises(BadInput, match="returns no skill for trees"):
            self.judged(folder, self.project(folder, found), tmp_path)

    @pytest.mark.parametrize("metric", [None, "r2"])
    def test_a_training_has_a_metric_or_such_a_function(self, folder: Path, metric: str | None) -> None:
        project = trained_project(folder, metric)
        if metric:
            project.judge(by="skill")(lambda _models, _rows, _out: {})
        with pytest.raises(BadInput, match="a metric, or else a function"):
            project.check()


class TestRowsThatAreDivided:
    ASKED: ClassVar[dict[str, Any]] = {"features": ["hour"], "label": "bikes", "share": 0.2}

    def rows(self, folder: Path, **files: list[int]) -> DatasetRef:
        for name, hours in files.items():
            pl.DataFrame({"hour": hours, "bikes": hours}).write_parquet(folder / "data/table" / f"{name}.parquet")
        seal(folder / "data/table")
        return DatasetRef(str(folder / "data/table"), open_verified(folder / "data/table").sha256)

    def test_without_such_files_the_newest_rows_are_apart(self, folder: Path) -> None:
        table = self.rows(folder)
        views = declared_rows(table, **self.ASKED)
        assert views.learn.labels.tolist() == [*range(8)]
        assert views.watch.labels.tolist() == judged_rows(table, **self.ASKED).labels.tolist() == [8, 9]

    def test_each_file_is_what_its_name_says(self, folder: Path) -> None:
        table = self.rows(folder, learn=[1, 2], watch=[3], judge=[4])
        views = declared_rows(table, **self.ASKED)
        assert (views.learn.labels.tolist(), views.watch.labels.tolist()) == ([1, 2], [3])
        assert judged_rows(table, **self.ASKED).labels.tolist() == [4]

    def test_without_rows_to_watch_those_that_judge_are_watched(self, folder: Path) -> None:
        assert declared_rows(self.rows(folder, learn=[1, 2], judge=[4]), **self.ASKED).watch.labels.tolist() == [4]
