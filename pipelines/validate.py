"""validate: does the snapshot hold what the pipeline expects? All violations at once, counted, with examples.

Ends with 65 when a rule is violated more often than params.yaml allows; the report is published all the same.
"""

import dataclasses
import datetime
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
from pydantic import Field

from koboshi import Dataset, Params, Rejected, read_tables
from pipelines.schemas import REPORT_SCHEMA, TRANSACTION_SCHEMA

REPORT = "report.json"
KEY = "transaction_id"
Share = Field(ge=0, le=1)
Rules = Mapping[str, tuple[str, pa.Check]]
"""For each column: what is expected of it, in words and as a check."""


class ValidateParams(Params):
    """The block `validate` of params.yaml: what is expected of a row, and which share may miss it."""

    since: datetime.datetime
    until: datetime.datetime
    max_amount_cents: int = Field(gt=0)
    max_violating_share: float = Share
    max_dead_letter_share: float = Share
    max_contradicting_share: float = Share
    max_unknown_report_share: float = Share
    examples: int = Field(ge=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """How often a rule is violated, of how many; `bound` is the share that is allowed."""

    rule: str
    of: int
    violations: int
    bound: float
    examples: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the share of violations is within the bound."""
        return self.violations <= self.bound * self.of

    def __str__(self) -> str:
        shown = f": {', '.join(self.examples)}" if self.examples else ""
        share = self.violations / self.of if self.of else 0.0
        return f"{self.rule}: {self.violations:,} of {self.of:,} ({share:.3%}, at most {self.bound:.3%}){shown}"


def validate(
    transactions: pl.DataFrame, reports: pl.DataFrame, counts: Mapping[str, Mapping[str, int]], params: ValidateParams
) -> list[Finding]:
    """Every rule with its violations, on the rows of a snapshot and the counts that it kept."""
    joined = reports.join(transactions.select(KEY, "tx_datetime"), on=KEY, how="left", maintain_order="left")
    known = joined.drop_nulls().with_columns(delay_us=(pl.col("reported_at") - pl.col("tx_datetime")).to_physical())
    unknown = joined.filter(pl.col("tx_datetime").is_null())
    return [
        *_check(transactions, _transaction_rules(params), params),
        *_check(known, {"delay_us": ("a report comes after its transaction", pa.Check.ge(0))}, params),
        Finding(
            "a report is of a known transaction",
            reports.height,
            unknown.height,
            params.max_unknown_report_share,
            tuple(f"transaction {key}" for key in unknown[KEY].head(params.examples)),
        ),
        *_of_counts(counts, params),
    ]


def _transaction_rules(params: ValidateParams) -> Rules:
    last = params.until - datetime.timedelta(microseconds=1)
    return {
        "tx_datetime": ("the event time is in range", pa.Check.in_range(params.since, last)),
        "amount_cents": ("the amount is in range", pa.Check.in_range(0, params.max_amount_cents)),
        **{key: (f"{key} is not negative", pa.Check.ge(0)) for key in (KEY, "customer_id", "terminal_id")},
    }


def _check(rows: pl.DataFrame, rules: Rules, params: ValidateParams) -> Iterator[Finding]:
    schema = pa.DataFrameSchema({column: pa.Column(checks=[check]) for column, (_, check) in rules.items()})
    failures = _failures(schema, rows)
    for column, (rule, _) in rules.items():
        cases = failures.filter(pl.col("column") == column)
        first = cases.head(params.examples)
        keys = rows[KEY].gather(first["index"])
        examples = tuple(f"transaction {key} has {case}" for key, case in zip(keys, first["failure_case"], strict=True))
        yield Finding(rule, rows.height, cases.height, params.max_violating_share, examples)


def _failures(schema: pa.DataFrameSchema, rows: pl.DataFrame) -> pl.DataFrame:
    try:
        schema.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as errors:
        return pl.DataFrame(errors.failure_cases)
    return pl.DataFrame(schema={"column": pl.String, "failure_case": pl.String, "index": pl.Int32})


def _of_counts(counts: Mapping[str, Mapping[str, int]], params: ValidateParams) -> Iterator[Finding]:
    for topic, count in counts.items():
        yield Finding(
            f"a record of {topic} can be decoded", count["records"], count["dead_letters"], params.max_dead_letter_share
        )
        yield Finding(
            f"duplicates in {topic} say the same", count["rows"], count["conflicting"], params.max_contradicting_share
        )


def as_report(snapshot: Dataset, findings: list[Finding]) -> dict[str, Any]:
    """The report as JSON values; it names the snapshot that it is about by the digest of its manifest."""
    return {
        "snapshot": snapshot.sha256,
        "passed": all(finding.passed for finding in findings),
        "findings": [{**dataclasses.asdict(finding), "passed": finding.passed} for finding in findings],
    }


def validated(snapshot: Dataset, params: ValidateParams, out: Path) -> None:
    """Write the report, and say each finding; raises `Rejected` where a rule is violated too often."""
    findings = validate(
        read_tables(snapshot.under("transactions/"), TRANSACTION_SCHEMA),
        read_tables(snapshot.under("reports/"), REPORT_SCHEMA),
        json.loads(snapshot.path("counts.json").read_text()),
        params,
    )
    (out / REPORT).write_text(json.dumps(as_report(snapshot, findings), indent=1) + "\n")
    for finding in findings:
        sys.stdout.write(f"{'ok  ' if finding.passed else 'FAIL'} {finding}\n")
    if failed := [finding.rule for finding in findings if not finding.passed]:
        raise Rejected(
            f"the snapshot violates: {'; '.join(failed)}. See data/validate/{REPORT}, mend the source or params.yaml."
        )
