"""The drill's lander, whose commits do not look at the fencing token: the negative control's only change."""

from koboshi.drills.ingest import lander_run
from koboshi.exits import run_and_exit
from koboshi.ledger import leases, spans


def trust(*_anybody: object) -> None:
    """Whoever wants to commit may."""


spans.check = leases.check = trust

if __name__ == "__main__":
    run_and_exit(lander_run.main, "lander")
