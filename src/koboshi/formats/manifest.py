"""The manifest: the SHA-256 of each file of a dataset, written last, checked first.

Whoever reads a dataset opens it with `open_verified`, and gets it only when every byte is as it was when the stage
published it. Stages use `koboshi.datasets.build.open_verified`, whose errors name DVC's cache, too.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from koboshi.documents import load_json
from koboshi.errors import BadInput, Corrupt
from koboshi.files import publish_bytes, sha256_of
from koboshi.refs import Ref

FILE = "manifest.json"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class DatasetRef(Ref):
    """A folder of files (path relative to the project) and the SHA-256 of its manifest."""

    path: str
    manifest_sha256: str

    def open(self) -> "Dataset":
        """The dataset, all of whose bytes are checked first: a unit opens with this what it learns from.

        Raises `BadInput` and `Corrupt` as `open_verified` does, and `Corrupt` for another dataset than the one referred
        to.
        """
        dataset = open_verified(Path(self.path))
        if dataset.sha256 != self.manifest_sha256:
            raise Corrupt(
                f"{self.path} has changed since it was referred to: run the stage that makes it, then submit the "
                "training again."
            )
        return dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """A folder that was verified when it was opened; `sha256` is the digest of its manifest, and so of everything."""

    folder: Path
    sha256: str
    files: tuple[str, ...]

    def path(self, name: str) -> Path:
        """The path of a file that the manifest names."""
        if name not in self.files:
            raise BadInput(f"the dataset {self.folder} has no file {name}: run the stage that makes it again.")
        return self.folder / name

    def under(self, prefix: str) -> list[Path]:
        """The files whose names begin with a prefix, in order of their names."""
        return [self.folder / name for name in self.files if name.startswith(prefix)]

    def ref(self, project: Path) -> DatasetRef:
        """The handle that may cross to other rooms."""
        return DatasetRef(self.folder.relative_to(project).as_posix(), self.sha256)


def seal(folder: Path) -> str:
    """Write the manifest over all files of a folder, last of all. Returns the manifest's own SHA-256.

    The same files give the same bytes. The digest over the entries is inside, so that a flip in the manifest itself
    is noticed and not taken for one in a file.
    """
    return publish_bytes(folder / FILE, _text({name: sha256_of(folder / name) for name in _names(folder)})).sha256


def open_verified(folder: Path, source_of: Callable[[Path], str] = lambda _path: "") -> Dataset:
    """Open a dataset, all of whose bytes are checked first.

    Raises `BadInput` where there is none, `Corrupt` when a file is changed, missing or not in the manifest: it names
    the file, its source if `source_of` knows a changed one, and the command that repairs.
    """
    path = folder / FILE
    if not path.is_file():
        raise BadInput(f"{folder} is no dataset (it has no {FILE}): run `dvc repro` to make it.")
    files = _read(path, source_of)
    found = set(_names(folder))
    for name in sorted(found | set(files)):
        if name not in files:
            raise Corrupt(f"{folder / name} is not in the manifest beside it: remove it, then run `dvc repro`.")
        if name not in found or sha256_of(folder / name) != files[name]:
            raise _corrupt(folder / name, source_of)
    return Dataset(folder, sha256_of(path), tuple(sorted(files)))


def _read(path: Path, source_of: Callable[[Path], str]) -> dict[str, str]:
    data = path.read_bytes()
    try:
        content = load_json(data)
        format_version, files = int(content["format"]), {str(k): str(v) for k, v in content["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _corrupt(path, source_of) from None
    if format_version > FORMAT_VERSION:
        raise BadInput(f"{path} has format {format_version}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
    if data != _text(files):
        raise _corrupt(path, source_of)
    return files


def _text(files: dict[str, str]) -> bytes:
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    content = {"format": FORMAT_VERSION, "files": files, "digest": digest}
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _corrupt(path: Path, source_of: Callable[[Path], str]) -> Corrupt:
    return Corrupt(f"{path} is not as it was made{source_of(path)}: run `koboshi dataset repair`, then `dvc repro`.")


def _names(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(name for path in paths if (name := path.relative_to(folder).as_posix()) != FILE)
