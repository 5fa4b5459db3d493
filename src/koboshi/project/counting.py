"""What a run counts before and after, to say whether anything was landed, trained or registered again."""

import dataclasses

import sqlalchemy as sa

from koboshi.ledger import Ledger
from koboshi.ledger.tables import attempts, spans, steps
from koboshi.settings import Settings, required


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Rows that count: landed spans and their records, committed steps, job attempts, model versions."""

    spans: int
    records: int
    steps: int
    attempts: int
    versions: int

    def since(self, before: "Counts") -> str:
        """What came in between, in a sentence."""
        if self == before:
            return "Nothing was landed, trained or registered again: all of it was there already."
        new = dataclasses.asdict(self.minus(before))
        return (
            "New: {records:,} records landed in {spans} spans, {steps} training steps committed by {attempts} jobs, "
            "{versions} model versions registered.".format(**new)
        )

    def minus(self, before: "Counts") -> "Counts":
        """How many of each are new."""
        return Counts(*(getattr(self, f.name) - getattr(before, f.name) for f in dataclasses.fields(self)))


def count(settings: Settings) -> Counts:
    """The counts as they are now."""
    from koboshi.registry.mlflow_registry import MlflowRegistry

    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model)
    ledger = Ledger(settings.ledger_url)
    landed = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(spans.c.records), 0))
    with ledger.snapshot() as connection:
        files, records = connection.execute(landed.where(spans.c.state == "committed")).one()
        done, jobs = (
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (steps, attempts)
        )
    return Counts(files, records, done, jobs, len(registry.versions()))
