"""The topics of the card-fraud stream: their names, keys, values and partitions.

| topic          | key (ASCII)      | value (JSON)                                                             |
|----------------|------------------|--------------------------------------------------------------------------|
| transactions   | `customer_id`    | `transaction_id, tx_datetime, customer_id, terminal_id, amount_cents`    |
| fraud-reports  | `transaction_id` | `transaction_id, reported_at`                                            |

Times are ISO 8601 to the second, without a zone; money is in whole cents. The Kafka timestamp is the event's time. What
nobody reports is genuine: a transaction is fraud exactly if a report of it has come.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Topic:
    """What a topic holds: which field is its key, and the fields of its JSON values with their types."""

    name: str
    key: str
    fields: dict[str, type]
    partitions: int = 4


TRANSACTIONS = Topic(
    name="transactions",
    key="customer_id",
    fields={
        "transaction_id": int,
        "tx_datetime": str,
        "customer_id": int,
        "terminal_id": int,
        "amount_cents": int,
    },
)
FRAUD_REPORTS = Topic(
    name="fraud-reports",
    key="transaction_id",
    fields={"transaction_id": int, "reported_at": str},
)
TOPICS = (TRANSACTIONS, FRAUD_REPORTS)
