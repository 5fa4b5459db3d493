"""MLflow: tracking server and registry, handing artefacts through."""

from koboshi.probes.mlflow_probe import probe_mlflow
from koboshi.stack.part import Part
from koboshi.stack.parts import Container, Technology, postgres
from koboshi.stack.topology import LOOPBACK, Ports, Topology

SERVER = 3


def tracking_uri(ports: Ports) -> str:
    """What a client is given."""
    return f"http://{ports.address('mlflow', SERVER)}"


def mlflow_part(topology: Topology) -> Part:
    """One worker: a laptop's requests are few, and each worker would cost 200 MB."""
    paths, ports = topology.paths, topology.ports
    folder = paths.state_dir / "mlflow"
    options = {
        "artifacts-destination": str(folder / "artifacts"),
        "host": ports.listen,
        "port": str(ports.at(SERVER)),
        "workers": "1",
        **({"allowed-hosts": f"mlflow:*,localhost:*,{LOOPBACK}:*"} if ports.by_name else {}),
    }
    flags = [word for key, value in options.items() for word in (f"--{key}", value)]
    return Part(
        name="mlflow",
        group="mlflow",
        argv=(topology.executables.python, "-m", "mlflow", "server", "--serve-artifacts", *flags),
        environment={
            "MLFLOW_BACKEND_STORE_URI": postgres.database(topology, "mlflow", folder / "mlflow.db"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        },
        folder=folder,
        log=paths.logs / "mlflow.log",
        ports=(ports.at(SERVER),),
        after_ports=postgres.gates(topology),
        address=tracking_uri(ports),
    )


TECHNOLOGY = Technology(
    group="mlflow",
    parts=lambda topology, _groups: (mlflow_part(topology),),
    after=("postgres",),
    address=lambda settings: settings.mlflow.tracking_uri,
    endpoints=lambda topology: {"tracking_uri": tracking_uri(topology.ports)},
    folders=("mlflow",),
    probe=lambda settings, _parts: probe_mlflow(str(settings.mlflow.tracking_uri)),
    login=lambda settings: {"what": "MLflow", "url": settings.mlflow.tracking_uri},
    foreign=("MLFLOW_",),
    container=Container(published=("mlflow", SERVER), volume=True, project=False),
)
