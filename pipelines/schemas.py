"""The columns of a snapshot's tables."""

import polars as pl

TRANSACTION_SCHEMA = pl.Schema(
    {
        "transaction_id": pl.Int64(),
        "tx_datetime": pl.Datetime("us"),
        "customer_id": pl.Int64(),
        "terminal_id": pl.Int64(),
        "amount_cents": pl.Int64(),
    }
)
REPORT_SCHEMA = pl.Schema({"transaction_id": pl.Int64(), "reported_at": pl.Datetime("us")})
DEAD_LETTER_SCHEMA = pl.Schema(
    {
        "topic": pl.String(),
        "partition": pl.Int32(),
        "offset": pl.Int64(),
        "key": pl.Binary(),
        "value": pl.Binary(),
        "reason": pl.String(),
    }
)
