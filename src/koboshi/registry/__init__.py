"""The registry room: training runs are recorded, the best candidate is registered once, and a slot follows it.

`mlflow_runs` records what was trained, `mlflow_registry` holds versions and aliases, `promotion` decides (pure), and
`release` moves an alias under an intent in the ledger.
"""
