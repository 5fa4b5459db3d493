"""The same value gives the same bytes: what a dump is compared by.

Two equal models may have different pickles: a pickle also tells which attributes share one object in memory, the order
in which a set happened to be filled, and what was left in the padding of a record. None of that survives here; whatever
can be asked of a value does, floats to the last bit.
"""

import hashlib
import io
import pickle
import sys
from typing import Any

_NEWEST = 5


def normal_form(value: Any) -> bytes:
    """The bytes of a value; `bytes` that are a pickle stand for what is in it."""
    if isinstance(value, bytes):
        if not _is_pickle(value):
            return value
        value = pickle.loads(value)
    try:
        return _pickled(value, shared=False)
    except (ValueError, RecursionError):  # a value that contains itself cannot be written without sharing
        return _pickled(value, shared=True)


def _is_pickle(state: bytes) -> bool:
    return len(state) > 2 and state[0] == 0x80 and 2 <= state[1] <= _NEWEST and state.endswith(b".")


def _pickled(value: Any, *, shared: bool) -> bytes:
    out = io.BytesIO()
    pickler = _Normal(out, protocol=_NEWEST)
    pickler.fast = not shared
    pickler.dump(value)
    return out.getvalue()


def _digest(value: Any) -> str:
    """Of a part: what stands for a value is itself looked at again, so it may be no pickle."""
    return hashlib.sha256(normal_form(value)).hexdigest()


class _Normal(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        """What stands for a value that has more than one way to be written."""
        if type(value) in (set, frozenset):
            return type(value).__name__, sorted(_digest([element]) for element in value)
        if type(value) is bytes and _is_pickle(value):
            return "pickle", _digest(value)
        numpy = sys.modules.get("numpy")
        if numpy is not None and type(value) is numpy.ndarray:
            return _array(numpy, value)
        return None


def _array(numpy: Any, array: Any) -> Any:
    """Values by position, however they lie in memory."""
    if array.dtype.hasobject:
        return "array", str(array.dtype), array.shape, _digest(array.tolist())
    if array.dtype.names:
        return "array", [(name, array[name].shape, _digest([array[name]])) for name in array.dtype.names]
    return "array", array.dtype.str, array.shape, numpy.ascontiguousarray(array).tobytes()
