"""What a drill must leave alone: the user's datasets, landed spans and champion, as fingerprints."""

from koboshi.files import tree_digest
from koboshi.ledger import Ledger, spans
from koboshi.settings import Settings


def fingerprints(settings: Settings) -> dict[str, str]:
    """A digest for each dataset in data/, each committed span, and each alias of the served model."""
    return {**_datasets(settings), **_spans(settings), **_champion(settings)}


def _datasets(settings: Settings) -> dict[str, str]:
    folder = settings.project / "data"
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return {f"dataset {path.name}": tree_digest(path) for path in found if not path.name.startswith(".")}


def _spans(settings: Settings) -> dict[str, str]:
    """The rows and, by their digests, what they name; spans that are landed meanwhile are no harm."""
    ledger = Ledger(settings.ledger_url)
    landed = [span for topic in settings.ingest.topics for span in spans.committed(ledger, topic)]
    ledger.close()
    return {f"span {span.path}": span.sha256 for span in landed}


def _champion(settings: Settings) -> dict[str, str]:
    if settings.mlflow.tracking_uri is None:
        return {}
    from koboshi.registry.mlflow_registry import MlflowRegistry

    version = MlflowRegistry(settings.mlflow.tracking_uri, settings.serving.model).aliased("champion")
    return {"champion": str(version)}
