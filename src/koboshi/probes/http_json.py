"""One HTTP call that speaks JSON, without any client's own retries: a probe asks once and says what it got."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from koboshi.errors import Unavailable
from koboshi.proxies import client


class Refused(Unavailable):
    """The part answered, with an error of HTTP: `status`."""

    status = 0


def call(url: str, payload: Any = None, *, headers: Mapping[str, str] | None = None, limit_s: float = 5.0) -> Any:
    """GET, or POST when there is a payload. Raises `Refused` with the status, `Unavailable` with the reason."""
    import httpx  # here: a third of what a verb that asks nobody would take to start

    data = None if payload is None else json.dumps(payload).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        with client(url, timeout=limit_s, follow_redirects=True) as asked:
            answer = asked.request("GET" if data is None else "POST", url, content=data, headers=sent)
        if not answer.is_success:
            refused = Refused(f"{url} answers {answer.status_code}: {answer.content[:300].decode(errors='replace')}")
            refused.status = answer.status_code
            raise refused
        return json.loads(answer.content or b"null")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
        raise Unavailable(f"{url} does not answer: {error}") from error


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Raise `Unavailable` where an answer has not the fields that the block looks for: something else listens there."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"{url} answers with other JSON than is looked for ({error!r})") from error
