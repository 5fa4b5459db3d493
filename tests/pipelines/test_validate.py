"""Validation finds everything at once, counts it, and shows examples."""

import datetime

import polars as pl

from pipelines.schemas import REPORT_SCHEMA, TRANSACTION_SCHEMA
from pipelines.validate import Finding, ValidateParams, validate

NOON = datetime.datetime(2018, 6, 18, 12)
PARAMS = ValidateParams(
    since=datetime.datetime(2018, 6, 1),
    until=datetime.datetime(2018, 7, 1),
    max_amount_cents=10_000,
    max_violating_share=0.0,
    max_dead_letter_share=0.05,
    max_contradicting_share=0.001,
    max_unknown_report_share=0.25,
    examples=2,
)
COUNTS = {"transactions": {"records": 100, "rows": 90, "dead_letters": 5, "conflicting": 0}}
GOOD = (1, NOON, 1, 1, 100)


def found(
    transactions: list[tuple[int, datetime.datetime, int, int, int]],
    reports: list[tuple[int, datetime.datetime]] | None = None,
    counts: dict[str, dict[str, int]] = COUNTS,
) -> dict[str, Finding]:
    findings = validate(
        pl.DataFrame(transactions, schema=TRANSACTION_SCHEMA, orient="row"),
        pl.DataFrame(reports or [], schema=REPORT_SCHEMA, orient="row"),
        counts,
        PARAMS,
    )
    return {finding.rule: finding for finding in findings}


def failed(findings: dict[str, Finding]) -> set[str]:
    return {rule for rule, finding in findings.items() if not finding.passed}


def test_good_rows_pass_and_every_rule_is_reported() -> None:
    findings = found([GOOD], [(1, NOON)])
    assert failed(findings) == set()
    assert len(findings) == 9


def test_all_violations_come_at_once_with_counts_and_examples() -> None:
    rows = [GOOD] + [(number, NOON, 1, 1, -number) for number in (7, 8, 9)]
    rows += [(20, datetime.datetime(2018, 7, 1), -1, 1, 10_001), (-2, datetime.datetime(2018, 5, 31), 1, -1, 0)]
    findings = found(rows, [(1, NOON - datetime.timedelta(seconds=1))])
    assert failed(findings) == {
        "the event time is in range",
        "the amount is in range",
        "transaction_id is not negative",
        "customer_id is not negative",
        "terminal_id is not negative",
        "a report comes after its transaction",
    }
    amounts = findings["the amount is in range"]
    assert (amounts.violations, amounts.of) == (4, 6)
    assert amounts.examples == ("transaction 7 has -7", "transaction 8 has -8")
    assert findings["the event time is in range"].violations == 2
    assert "4 of 6" in str(amounts)


def test_borders_belong_to_the_range_as_they_are_named() -> None:
    """From `since`, before `until`, up to and with the highest amount."""
    last = datetime.datetime(2018, 6, 30, 23, 59, 59, 999_999)
    assert failed(found([(1, datetime.datetime(2018, 6, 1), 0, 0, 0), (2, last, 0, 0, 10_000)])) == set()


def test_a_few_reports_of_unknown_transactions_are_allowed() -> None:
    """A cut may end between a transaction and its report; the bound is a share."""
    rows = [(number, NOON, 1, 1, 1) for number in range(3)]
    known = [(number, NOON) for number in range(3)]
    allowed = found(rows, [*known, (77, NOON)])
    assert failed(allowed) == set()
    assert allowed["a report is of a known transaction"].examples == ("transaction 77",)
    assert failed(found(rows, [*known, (77, NOON), (78, NOON)])) == {"a report is of a known transaction"}


def test_dead_letters_and_contradictions_have_bounds() -> None:
    counts = {"transactions": {"records": 100, "rows": 90, "dead_letters": 6, "conflicting": 1}}
    assert failed(found([GOOD], counts=counts)) == {
        "a record of transactions can be decoded",
        "duplicates in transactions say the same",
    }


def test_nothing_at_all_violates_nothing() -> None:
    findings = found([], counts={})
    assert failed(findings) == set()
    assert "0 of 0 (0.000%" in str(findings["the amount is in range"])
