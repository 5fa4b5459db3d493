"""Each check of dataset-flipped can fail, for its own reason."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.datasets import dataset_flipped
from koboshi.drills.datasets.dataset_flipped import (
    Told,
    all_is_as_before,
    rotten_object_is_refused,
    rotten_span_is_refused,
)
from koboshi.drills.drill import Injection
from koboshi.ingest.audit import AuditOutcome, PartitionVerdict

TOOK = Injection("flipped byte", "something", 1.0, 1.0, took=True)
RIGHT = dataset_flipped.RIGHT_TOTAL
OBJECT, SPAN = Path("/cache/ab/cdef"), Path("/spans/1/0-9-abc.parquet")


def audited(*outcomes: AuditOutcome) -> list[PartitionVerdict]:
    return [PartitionVerdict("t", partition, outcome, 9) for partition, outcome in enumerate(outcomes)]


@dataclasses.dataclass
class Environment:
    """What the checks look at."""

    flipped_object: Path = OBJECT
    flipped_span: Path = SPAN
    read_total: str = RIGHT
    before: dict[str, str] = dataclasses.field(default_factory=lambda: {"numbers": "1", "total": "2"})
    told: dict[str, Told] = dataclasses.field(
        default_factory=lambda: {
            "checkout": Told(2, 0, ""),
            "read": Told(3, 65, "total: the table is not as it was made"),
            "make": Told(4, 65, "numbers: a landed span is not as it was recorded"),
        }
    )
    audits: dict[str, list[PartitionVerdict]] = dataclasses.field(
        default_factory=lambda: {"broken": audited("equal", "broken"), "mended": audited("equal", "equal")}
    )
    repaired: list[Path] = dataclasses.field(default_factory=lambda: [OBJECT, SPAN])
    after: dict[str, str] = dataclasses.field(default_factory=lambda: {"numbers": "1", "total": "2"})
    final_total: str = RIGHT

    def digests(self) -> dict[str, str]:
        return self.after

    def total(self) -> str:
        return self.final_total


def failing(environment: Any, first: Injection = TOOK, last: Injection = TOOK) -> dict[str, str]:
    checks = (rotten_object_is_refused, rotten_span_is_refused, all_is_as_before)
    findings = [check(environment, [first, last]) for check in checks]
    return {finding.check: finding.said for finding in findings if not finding.holds}


def test_good_evidence_holds() -> None:
    assert failing(Environment()) == {}


def test_a_reader_that_made_something_of_it() -> None:
    environment = Environment(read_total='{"count": 1}')
    environment.told["read"] = Told(3, 0, "")
    said = 'the flipped byte reached the reader: total {"count": 1}, not ' + RIGHT
    assert failing(environment) == {"rotten_object_is_refused": said}


def test_a_reader_that_breaks() -> None:
    """Another exit code than 65."""
    environment = Environment()
    environment.told["read"] = Told(3, 1, "")
    assert set(failing(environment)) == {"rotten_object_is_refused"}


def test_a_repair_that_does_not_find_the_object_or_the_span() -> None:
    assert set(failing(Environment(repaired=[SPAN]))) == {"rotten_object_is_refused"}
    assert set(failing(Environment(repaired=[OBJECT, SPAN.with_name("other")]))) == {"rotten_span_is_refused"}


def test_a_reader_that_refuses_and_has_published_all_the_same() -> None:
    assert set(failing(Environment(read_total="nothing"))) == {"rotten_object_is_refused"}


@pytest.mark.parametrize("code", [0, 75])
def test_a_stage_that_does_not_refuse_the_span(code: int) -> None:
    environment = Environment()
    environment.told["make"] = Told(4, code, "")
    assert set(failing(environment)) == {"rotten_span_is_refused"}


@pytest.mark.parametrize(
    "broken", [audited("equal", "equal"), audited("broken", "equal"), audited("broken", "broken"), audited()]
)
def test_an_audit_that_does_not_see_the_broken_span(broken: list[PartitionVerdict]) -> None:
    """None, that of another partition, or one more."""
    audits = {"broken": broken, "mended": audited("equal", "equal")}
    assert set(failing(Environment(audits=audits))) == {"rotten_span_is_refused"}


def test_what_did_not_take() -> None:
    missed = dataclasses.replace(TOOK, took=False)
    assert set(failing(Environment(), first=missed)) == {"rotten_object_is_refused"}
    assert set(failing(Environment(), last=missed)) == {"rotten_span_is_refused"}


def test_a_dataset_with_other_bytes_a_wrong_total_and_a_difference_to_the_broker() -> None:
    """Each is told."""
    assert failing(Environment(after={"numbers": "x", "total": "2"})) == {"all_is_as_before": "not as before: numbers"}
    assert failing(Environment(final_total="1")) == {"all_is_as_before": "not as before: the total 1"}
    audits = {"broken": audited("equal", "broken"), "mended": audited("equal", "different")}
    assert failing(Environment(audits=audits)) == {"all_is_as_before": "not as before: the audit (different)"}
