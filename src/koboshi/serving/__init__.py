"""The serving room: a replica answers with a verified model version, follows its slot's alias, and names both.

`protocol` reads requests, `following` decides (both pure); `mlflow_reader` asks the registry, `artefacts` keeps
downloads by digest, `sklearn_model` loads and checks, `replica` holds the model that answers, `starlette_app` is the
interface, `uvicorn_server` its process. The gateway in front of them is in `koboshi.gateways`.
"""

import os

# MLflow decides at its import whether it reports its use, and writes into the home folder when it does.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
