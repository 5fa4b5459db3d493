"""JSON that somebody else has written: whatever is wrong with it, one kind of error."""

import json
from typing import Any


def loads(text: str | bytes) -> Any:
    """The value of a JSON document. Raises `ValueError` for what is none, and for what is nested too deeply to read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
