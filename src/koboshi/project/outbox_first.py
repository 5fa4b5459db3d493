"""Before a stage or a promotion looks for a training in MLflow, what waits in the outbox is delivered."""

from contextlib import closing

from koboshi.ledger import Ledger
from koboshi.registry.outbox import Outbox
from koboshi.settings import Settings
from koboshi.sinks.terminal import to_terminal


def deliver_first(settings: Settings, tracking_uri: str) -> None:
    """Have everything in MLflow that was trained; raises `Unavailable` while MLflow is away and something waits."""
    outbox = Outbox.of(settings.state_dir)
    if not outbox.entries():
        return  # MLflow's client takes seconds to import
    from koboshi.registry.mlflow_delivery import deliver

    with closing(Ledger(settings.ledger_url)) as ledger:
        deliver(outbox, ledger, tracking_uri, to_terminal)
