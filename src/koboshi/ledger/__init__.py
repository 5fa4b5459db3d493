"""The ledger: decisions only. Plans and spans, leases with fencing tokens, job attempts, step commits, intents.

A row is the only commit point of its hop. Files without a row are orphans; rows never name a file that was not
fsynced under its final name first.
"""

from koboshi.ledger.database import Ledger, LedgerConnection

__all__ = ["Ledger", "LedgerConnection"]
