"""`koboshi serve`: one scoring replica."""

import logging
import os
from typing import Annotated

import typer

from koboshi.files import make_state_folder
from koboshi.settings import load_settings, required


def serve(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port to listen on.")],
    slot: Annotated[str | None, typer.Option(help="The slot to follow.", show_default="serving.slot")] = None,
    name: Annotated[str, typer.Option(help="The replica's name in headers and logs.")] = "replica-1",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve predictions with the model version that a slot points at, and follow the slot to later versions.

    Example: koboshi serve --port 8080 --slot champion
    """
    settings = load_settings()
    tracking_uri = required(settings.mlflow.tracking_uri, "MLflow")
    _log_to_stderr()
    # One thread for each prediction: many small ones are answered at once, and BLAS sums in one order.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from koboshi.serving.engine import load
    from koboshi.serving.mlflow_reader import MlflowReader
    from koboshi.serving.replica import Replica
    from koboshi.serving.uvicorn_server import serve as run

    make_state_folder(settings.state_dir)
    followed = slot or settings.serving.slot
    reader = MlflowReader(tracking_uri, settings.serving.model, followed)
    run(Replica(name, followed, reader, settings.state_dir / "serving", load), host, port)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
