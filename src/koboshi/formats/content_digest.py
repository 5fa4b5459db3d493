"""The content digest: a multiset hash of records that does not depend on how a stream was cut into files.

Each record is hashed with SHA-256 and read as four unsigned 64-bit lanes; a set's digest is the sum of its records'
lanes, each modulo 2**64. So the digests of two disjoint spans add up to that of their union (AdHash: Bellare and
Micciancio, "A New Paradigm for Collision-Free Hashing", 1997). It guards against loss, doubling and corruption, not
against an adversary who may choose records.
"""

import hashlib
import struct
from collections.abc import Iterable

import numpy as np

EMPTY = "0" * 64
_NONE = 0xFFFF_FFFF


def content_digest(offsets: Iterable[int], keys: Iterable[bytes | None], values: Iterable[bytes | None]) -> str:
    """The digest of records given as three columns of one length, in hex; `EMPTY` when there are none."""
    digests = b"".join(
        hashlib.sha256(b"".join((_head(offset, key, value), key or b"", value or b""))).digest()
        for offset, key, value in zip(offsets, keys, values, strict=True)
    )
    lanes = np.frombuffer(digests, dtype="<u8").reshape(-1, 4)
    return bytes(lanes.sum(axis=0, dtype="<u8").astype("<u8").tobytes()).hex()


def add(digests: Iterable[str]) -> str:
    """The digest of the union of disjoint sets of records."""
    lanes = [np.frombuffer(bytes.fromhex(digest), dtype="<u8") for digest in (EMPTY, *digests)]
    return bytes(np.sum(lanes, axis=0, dtype="<u8").astype("<u8").tobytes()).hex()


def _head(offset: int, key: bytes | None, value: bytes | None) -> bytes:
    """Offset and lengths, so that no two records run together to the same bytes; None is not an empty string."""
    return struct.pack("<qII", offset, _NONE if key is None else len(key), _NONE if value is None else len(value))
