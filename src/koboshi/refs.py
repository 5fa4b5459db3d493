"""The frozen handles that cross between rooms and through XCom: small, and never the data itself.

Every handle is made of JSON values only; `as_json` and `from_json` are inverse.
"""

import dataclasses
from typing import Any, Self


@dataclasses.dataclass(frozen=True, slots=True)
class Ref:
    """What all handles share: a round trip through JSON."""

    def as_json(self) -> dict[str, Any]:
        """The fields, as a dictionary of JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The handle that `as_json` described."""
        return cls(**fields)


@dataclasses.dataclass(frozen=True, slots=True)
class SpanRange(Ref):
    """Offsets [start, end) of one partition: the idempotency key of a landing.

    `topic_id` tells a topic from another one of the same name that was made after it had been deleted.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class SpanRef(Ref):
    """A landed range: the file (path relative to the state folder), its SHA-256 and its content digest (hex)."""

    range: SpanRange
    path: str
    sha256: str
    content: str
    records: int

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The handle that `as_json` described, its range included."""
        return cls(**{**fields, "range": SpanRange(**fields["range"])})


@dataclasses.dataclass(frozen=True, slots=True)
class Beginning(Ref):
    """Where the landing of a partition began: offsets below `start` were gone from the broker before it came.

    `origin` is `landing` where the first landing has recorded it, and `spans` where all that is known is the start of
    the first span: in a ledger that was rebuilt from files, or migrated from a format without beginnings.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    origin: str = "landing"

    @property
    def gone(self) -> str:
        """What there was before it, in a clause."""
        if self.origin == "landing":
            return f"offsets 0 to {self.start - 1} were gone from the broker before the first landing came"
        why = "they were gone before the first landing, or their files are lost"
        return f"no span file holds offsets 0 to {self.start - 1}: {why}"


@dataclasses.dataclass(frozen=True, slots=True)
class CheckpointRef(Ref):
    """The state of one unit after step `step` (1 is the first), path relative to the checkpoint store.

    Without a path it stands for a step whose state was not kept, because that of a later step was.
    """

    run_key: str
    unit: str
    step: int
    path: str = ""
    sha256: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRef(Ref):
    """A registered model version; `key` is the digest of what it was trained from, `sha256` that of its artefact."""

    name: str
    version: int
    key: str
    sha256: str
