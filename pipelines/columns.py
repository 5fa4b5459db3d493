"""The columns of the training table: who, when, what, and the fifteen published features."""

WINDOW_DAYS = (1, 7, 30)
KEYS = ("transaction_id", "tx_datetime", "customer_id", "terminal_id", "amount_cents")
LABEL = "is_fraud"
FEATURES = (
    "amount",
    "weekend",
    "night",
    *(f"customer_{what}_{days}d" for days in WINDOW_DAYS for what in ("count", "mean_amount")),
    *(f"terminal_{what}_{days}d" for days in WINDOW_DAYS for what in ("count", "risk")),
)
TABLE = "table.parquet"
"""The one file of `data/features`: KEYS, LABEL (int8) and FEATURES (float64), by tx_datetime and transaction_id."""
