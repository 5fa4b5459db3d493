"""One HTTP call that speaks JSON, without any client's own retries: a probe asks once and says what it got."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from koboshi.errors import Unavailable
from koboshi.proxies import open_url


class Refused(Unavailable):
    """The part answered, with an error of HTTP: `status`."""

    status = 0


def call(url: str, payload: Any = None, *, headers: Mapping[str, str] | None = None, limit_s: float = 5.0) -> Any:
    """GET, or POST when there is a payload. Raises `Refused` with the status, `Unavailable` with the reason."""
    data = None if payload is None else json.dumps(payload).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, sent)  # noqa: S310 (our own addresses)
    try:
        with open_url(request, limit_s) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        refused = Refused(f"{url} answers {error.code}: {error.read(300).decode(errors='replace')}")
        refused.status = error.code
        raise refused from error
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise Unavailable(f"{url} does not answer: {getattr(error, 'reason', error)}") from error


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Raise `Unavailable` where an answer has not the fields that the block looks for: something else listens there."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"{url} answers with other JSON than is looked for ({error!r})") from error
