"""What people look for beside a training's record: its dataset, its commit, what was changed, when it recovered.

None of it is part of the training's key: a training that was asked for from another commit is not done again. What
cannot be found out is left out, and no training fails for it.
"""

import dataclasses
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from koboshi.documents import load_mapping, mapping_in
from koboshi.errors import BadInput
from koboshi.events import CheckpointQuarantined, Recovered, TakenUp
from koboshi.formats.manifest import DatasetRef
from koboshi.journal import Entry, Journal
from koboshi.parameters import FILE as PARAMS
from koboshi.parameters import differences, home_of

ASK_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """Training of a unit went on after a failure: with which step, and when (seconds since 1970)."""

    step: int
    at_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingFacts:
    """Empty where nothing is known.

    `uncommitted` are the files that differ from the commit, `changed` the parameters that do, by dotted name:
    `{"train.seed": "0 → 7"}`. `recovered` has the marks of each unit until the facts were gathered; `journal` is where
    later ones are written.
    """

    project: str = ""
    dataset: str = ""
    dataset_sha256: str = ""
    commit: str = ""
    uncommitted: Sequence[str] = ()
    changed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recovered: Mapping[str, Sequence[Mark]] = dataclasses.field(default_factory=dict)
    journal: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """All but the journal, as JSON values."""
        fields = dataclasses.asdict(self)
        del fields["journal"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The facts that `as_json` described; of an older record, or of a newer one, those that are known here."""
        known = {field.name for field in dataclasses.fields(cls)}
        told = {name: value for name, value in fields.items() if name in known}
        recovered = {unit: [Mark(**mark) for mark in found] for unit, found in fields.get("recovered", {}).items()}
        return cls(**{**told, "uncommitted": tuple(fields.get("uncommitted", ())), "recovered": recovered})


def facts_of(project: Path, dataset: DatasetRef, journal: Path | None = None, key: str = "") -> TrainingFacts:
    """The facts of the training with this key, on a dataset of `project`, which may be an experiment's workspace."""
    home = home_of(project)
    commit = _git(home, "rev-parse", "--verify", "--quiet", "HEAD") if _git(home, "rev-parse", "HEAD:./") else ""
    status = _git(home, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", ".") if commit else ""
    return TrainingFacts(
        project=home.name,
        dataset=Path(dataset.path).name,
        dataset_sha256=dataset.manifest_sha256,
        commit=commit.strip(),
        uncommitted=[entry[3:] for entry in status.split("\0") if entry],
        changed=_changed(_git(home, "show", f"HEAD:./{PARAMS}"), home, project),
        recovered=_recovered(journal, key),
        journal=journal,
    )


def marks(entries: Iterable[Entry], key: str) -> dict[str, list[Mark]]:
    """By unit, each time that the training with this key went on after a failure, oldest first. Pure."""
    found = defaultdict[str, list[Mark]](list)
    for entry in entries:
        event = entry.event
        if event.run == key and isinstance(event, Recovered | TakenUp | CheckpointQuarantined):
            found[event.unit].append(Mark(event.step, entry.at))
    return dict(found)


def _recovered(journal: Path | None, key: str) -> dict[str, list[Mark]]:
    try:
        return marks(Journal(journal).entries(), key) if journal else {}
    except BadInput:  # a newer koboshi writes it
        return {}


def _changed(committed: str, home: Path, project: Path) -> dict[str, str]:
    """Against the commit; where git has none, an experiment against its project."""
    try:
        before = mapping_in(committed, f"{PARAMS} at HEAD") if committed else load_mapping(home / PARAMS)
        return differences(before, load_mapping(project / PARAMS))
    except BadInput:
        return {}


def _git(folder: Path, *words: str) -> str:
    """What git answers; nothing where there is no git, no repository or no answer."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # a look takes no lock from a person's own git
    try:
        asked = subprocess.run(
            ["git", *words], cwd=folder, env=environment, capture_output=True, timeout=ASK_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.decode(errors="replace") if asked.returncode == 0 else ""
