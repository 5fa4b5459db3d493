"""Whether the endpoint answers right: held-out rows, against the registered model itself."""

from collections import Counter

from koboshi.errors import Permanent, Unavailable
from koboshi.project.declared import Training
from koboshi.project.judging import held_out_rows
from koboshi.project.project import Project
from koboshi.proxies import client
from koboshi.registry.mlflow_model import predict_function, verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.serving.protocol import REPLICA_HEADER, VERSION_HEADER
from koboshi.settings import Settings, required

ROWS, ROWS_A_REQUEST = 100, 10


def compared_answers(settings: Settings, project: Project, training: Training) -> str:
    """Ask the gateway for predictions; each must be, to the bit, what the served version itself predicts.

    The version is loaded from the registry, past replicas and gateway. Raises `Permanent` for a wrong answer.
    """
    registry = MlflowRegistry(required(settings.mlflow.tracking_uri, "MLflow"), settings.serving.model)
    number = registry.aliased(settings.serving.slot)
    served = registry.version(number) if number is not None else None
    if served is None:
        raise Permanent(f"nothing is {settings.serving.slot}: the candidate was not promoted.")
    unit = training.units[project.served or next(iter(training.units))]
    rows = held_out_rows(training, unit, project.dataset(training.on)).features.head(ROWS)
    answers, replicas = list[object](), Counter[str]()
    url = required(settings.gateway.url, "the gateway")
    with client(url, base_url=url, timeout=20.0) as gateway:
        for at in range(0, len(rows), ROWS_A_REQUEST):
            body = {"dataframe_split": rows.iloc[at : at + ROWS_A_REQUEST].to_dict(orient="split")}
            answer = gateway.post("/invocations", json=body)
            if answer.status_code != 200 or answer.headers[VERSION_HEADER] != str(served.version):
                raise Unavailable(f"the endpoint answered {answer.status_code}, not from version {number}: try again.")
            answers += answer.json()["predictions"]
            replicas[answer.headers[REPLICA_HEADER]] += 1
    with verified_model(registry.tracking_uri, registry.source(served), served.sha256, "the served version") as model:
        expected = getattr(model, predict_function(model))(rows).tolist()
    if wrong := sum(a != b for a, b in zip(answers, expected, strict=True)):
        raise Permanent(f"{wrong} of {len(rows)} answers are not what version {served.version} predicts.")
    return f"{len(rows)} rows answered by {', '.join(sorted(replicas))}, each as version {served.version} predicts"
