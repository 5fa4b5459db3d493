"""Whether the endpoint answers right: the test week's transactions, against the registered model itself."""

import json
import time
from collections import Counter
from pathlib import Path

import httpx
import polars as pl

from koboshi.datasets.build import open_verified
from koboshi.datasets.params import load_params
from koboshi.errors import Permanent, Unavailable
from koboshi.proxies import for_httpx
from koboshi.serving.protocol import REPLICA_HEADER, VERSION_HEADER
from koboshi.settings import Settings, required
from pipelines.candidates import features_of, probability
from pipelines.columns import TABLE
from pipelines.published import comparison
from pipelines.splits import Split, test_rows

REQUESTS, ROWS_A_REQUEST = 60, 10


def check_answers(settings: Settings) -> str:
    """Ask for some hundred predictions; each must be, to the bit, what the champion itself predicts. Tell of them.

    The champion is loaded from the registry, past replicas and gateway. Raises `Permanent` for a wrong answer.
    """
    from koboshi.registry.mlflow_model import verified_model
    from koboshi.registry.mlflow_registry import MlflowRegistry

    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model)
    number = registry.aliased(settings.serving.slot)
    champion = registry.version(number) if number is not None else None
    if champion is None:
        raise Permanent(f"nothing is {settings.serving.slot}: trigger the DAG promote.")
    rows = _sample(settings.project)
    began = time.monotonic()
    answered, replicas = _ask(required(settings.gateway.url, "the gateway"), rows, champion.version)
    took = time.monotonic() - began
    with verified_model(registry.tracking_uri, registry.source(champion), champion.sha256, "the champion") as model:
        wrong = sum(a != b for a, b in zip(answered, probability(model, features_of(rows)), strict=True))
    if wrong:
        raise Permanent(f"{wrong} of {rows.height} answers are not what version {champion.version} predicts.")
    shares = ", ".join(f"{name} {share}" for name, share in sorted(replicas.items()))
    return f"{rows.height} transactions in {REQUESTS} requests: all answered, all right, in {took:.1f} s ({shares})"


def metrics_table(project: Path) -> str:
    """The candidates' metrics beside the published table."""
    return "\n" + comparison(json.loads((project / "metrics.json").read_text())["candidates"])


def _sample(project: Path) -> pl.DataFrame:
    table = pl.read_parquet(open_verified(project / "data" / "features").path(TABLE))
    rows = test_rows(table, load_params(project, "split", Split))
    return rows.gather_every(max(1, rows.height // (REQUESTS * ROWS_A_REQUEST))).head(REQUESTS * ROWS_A_REQUEST)


def _ask(url: str, rows: pl.DataFrame, version: int) -> tuple[list[float], Counter[str]]:
    answers: list[float] = []
    replicas: Counter[str] = Counter()
    with httpx.Client(base_url=url, timeout=20.0, mounts=for_httpx(url)) as client:
        for part in rows.iter_slices(ROWS_A_REQUEST):
            body = {"dataframe_split": features_of(part).to_dict(orient="split")}
            answer = client.post("/invocations", json=body)
            if answer.status_code != 200 or answer.headers[VERSION_HEADER] != str(version):
                raise Unavailable(f"the endpoint answered {answer.status_code}, not from version {version}: try again.")
            answers += [prediction[1] for prediction in answer.json()["predictions"]]
            replicas[answer.headers[REPLICA_HEADER]] += 1
    return answers, replicas
