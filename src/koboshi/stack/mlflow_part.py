"""MLflow: tracking server and registry on SQLite, handing artefacts through."""

import sys

from koboshi.stack.part import Part
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports

SERVER = 3


def tracking_uri(ports: Ports) -> str:
    """What a client is given."""
    return f"http://127.0.0.1:{ports.at(SERVER)}"


def mlflow_part(places: Places, ports: Ports) -> Part:
    """One worker: a laptop's requests are few, and each worker would cost 200 MB."""
    folder = places.state_dir / "mlflow"
    options = {
        "backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "artifacts-destination": str(folder / "artifacts"),
        "host": "127.0.0.1",
        "port": str(ports.at(SERVER)),
        "workers": "1",
    }
    flags = [word for key, value in options.items() for word in (f"--{key}", value)]
    return Part(
        name="mlflow",
        group="mlflow",
        argv=(sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *flags),
        environment={
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        },
        folder=folder,
        log=places.logs / "mlflow.log",
        ports=(ports.at(SERVER),),
        address=tracking_uri(ports),
    )
