"""The serving room: a replica answers with a verified model version, follows its slot's alias, and names both.

`protocol` reads requests (pure); `mlflow_reader` asks the registry, `engine` keeps downloads by digest, loads them with
`sklearn_engine` and checks their answers, `replica` follows and holds the model that answers, `starlette_app` is the
interface, `uvicorn_server` its process. The gateway in front of them is in `koboshi.gateways`.
"""

import os

# MLflow decides at its import whether it reports its use, and writes into the home folder when it does.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
