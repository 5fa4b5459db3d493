"""The registry room: training runs are recorded, the best candidate is registered once, and a slot follows it.

`mlflow_runs` records what was trained, through `mlflow_delivery` and the `outbox`; `mlflow_registry` holds versions and
aliases; `release` judges a candidate and moves an alias under an intent in the ledger.
"""

import os

# MLflow decides at its import whether it reports its use, and writes into the home folder when it does.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
