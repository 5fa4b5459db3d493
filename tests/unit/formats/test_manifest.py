from pathlib import Path

import pytest

from koboshi.datasets.build import building, open_verified
from koboshi.errors import BadInput, Corrupt
from koboshi.formats.manifest import DatasetRef, seal


def write(folder: Path, text: str = "one") -> None:
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text(text)
    (folder / "deep" / "b.txt").write_text("two")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    with building(tmp_path / "data" / "it") as folder:
        write(folder)
    return tmp_path / "data" / "it"


def test_an_intact_dataset_opens_and_knows_its_files(dataset: Path, tmp_path: Path) -> None:
    opened = open_verified(dataset)
    assert opened.files == ("a.txt", "deep/b.txt")
    assert opened.path("a.txt").read_text() == "one"
    assert opened.under("deep/") == [dataset / "deep" / "b.txt"]
    assert opened.ref(tmp_path).path == "data/it"
    with pytest.raises(BadInput, match=r"has no file c\.txt"):
        opened.path("c.txt")


def test_the_same_files_give_the_same_manifest(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write(tmp_path / name)
    assert seal(tmp_path / "x") == seal(tmp_path / "y")


@pytest.mark.parametrize("name", ["a.txt", "deep/b.txt", "manifest.json"])
def test_every_flipped_byte_is_found_and_its_file_named(dataset: Path, name: str) -> None:
    """I2: whichever byte it is, in the manifest too, and the file that is named is the one that was changed."""
    path = dataset / name
    intact = path.read_bytes()
    for place in range(len(intact)):
        path.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
        with pytest.raises(Corrupt, match=f"^{path} is not as it was made.*koboshi dataset repair"):
            open_verified(dataset)
    path.write_bytes(intact)
    open_verified(dataset)


def test_a_missing_and_a_strange_file_are_found(dataset: Path) -> None:
    (dataset / "strange").write_text("")
    with pytest.raises(Corrupt, match="strange is not in the manifest"):
        open_verified(dataset)
    (dataset / "strange").unlink()
    (dataset / "a.txt").unlink()
    with pytest.raises(Corrupt, match=r"a\.txt is not as it was made"):
        open_verified(dataset)


def test_where_there_is_no_dataset_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run `dvc repro` to make it"):
        open_verified(tmp_path)


def test_a_newer_format_is_refused(dataset: Path) -> None:
    manifest = dataset / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(BadInput, match="has format 2, this koboshi knows 1"):
        open_verified(dataset)


def test_a_build_that_fails_leaves_what_was_there(dataset: Path) -> None:
    before = open_verified(dataset).sha256
    with pytest.raises(IsADirectoryError), building(dataset) as folder:
        folder.write_text("a folder cannot be written to")
    assert open_verified(dataset).sha256 == before
    assert {path.name for path in dataset.parent.iterdir()} == {"it", ".it.lock"}


def test_a_build_replaces_what_was_there(dataset: Path) -> None:
    with building(dataset) as folder:
        (folder / "new.txt").write_text("new")
    assert open_verified(dataset).files == ("new.txt",)
    assert {path.name for path in dataset.parent.iterdir()} == {"it", ".it.lock"}


def test_a_handle_opens_the_very_dataset_that_it_refers_to(tmp_path: Path) -> None:
    """I2: every byte is checked; a dataset that was made anew meanwhile is another one."""
    (tmp_path / "rows").write_text("1")
    ref = DatasetRef(str(tmp_path), seal(tmp_path))
    assert ref.open().path("rows").read_text() == "1"
    (tmp_path / "rows").write_text("2")
    with pytest.raises(Corrupt, match="is not as it was made"):
        ref.open()
    seal(tmp_path)
    with pytest.raises(Corrupt, match="has changed since it was referred to"):
        ref.open()
