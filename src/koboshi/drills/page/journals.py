"""Finds journals and reads them, each file once: its digest is of the very bytes that are shown."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from koboshi.drills.drill import Outcome
from koboshi.drills.report import Report, parsed
from koboshi.errors import BadInput

_OUTCOME = TypeAdapter(Outcome)


@dataclasses.dataclass(frozen=True, slots=True)
class Journal:
    """A journal's file and what it tells. `outcome` is the report's, in the types that it was written from."""

    name: str
    sha256: str
    text: str
    report: Report
    outcome: Outcome


def open_journal(path: Path) -> Journal:
    """Read one file; raises `BadInput` when it cannot be read, is no journal, or is of a newer format."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): name a journal of a drill.") from error
    report = parsed(data, path)
    outcome = _OUTCOME.validate_python(report.outcome)
    return Journal(path.name, hashlib.sha256(data).hexdigest(), data.decode(), report, outcome)


def gather(paths: Sequence[Path]) -> list[Journal]:
    """The journals that the paths name, none twice; a folder stands for the newest of each drill in it.

    Raises `BadInput` for a folder without journals, and as `open_journal` does.
    """
    found = [journal for path in paths for journal in (newest_in(path) if path.is_dir() else [open_journal(path)])]
    return list({journal.sha256: journal for journal in found}.values())


def newest_in(folder: Path) -> list[Journal]:
    """The newest journal of each drill: files in the folder, and in its folders as `koboshi drill run` fills them."""
    folders = [inner for inner in sorted(folder.glob("*")) if inner.is_dir()]
    kept = [path for inner in folders for path in sorted(inner.glob("*T*.json"))[-1:]]
    journals = sorted(
        map(open_journal, [*sorted(folder.glob("*.json")), *kept]), key=lambda journal: journal.report.at_s
    )
    if not journals:
        raise BadInput(f"{folder} has no journals of drills: `koboshi drill run NAME` writes one.")
    return list({journal.report.drill: journal for journal in journals}.values())
