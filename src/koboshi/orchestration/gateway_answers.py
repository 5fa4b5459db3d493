"""Whether the balanced endpoint answers with a model version: every replica, not just the first to follow."""

import time
from collections import Counter
from collections.abc import Callable

import httpx

from koboshi.errors import Unavailable
from koboshi.proxies import client
from koboshi.serving.protocol import REPLICA_HEADER, VERSION_HEADER

_IN_A_ROW = 12  # answers of the wanted version, after which no replica that the gateway sends to has another one
_LOOK_S = 0.25


def wait_until_served(url: str, version: int, *, within_s: float, on_line: Callable[[str], None]) -> dict[str, int]:
    """Ask the gateway until it answers with this version only; how many of the last answers each replica gave.

    Raises `Unavailable` after `within_s`, with what was answered instead.
    """
    deadline = time.monotonic() + within_s
    answered: list[str] = []
    last = ""
    with client(url, base_url=url.rstrip("/"), timeout=10.0) as gateway:
        while len(answered) < _IN_A_ROW:
            replica, found = _ask(gateway)
            answered = [*answered, replica] if found == str(version) else []
            if found != last:
                on_line(f"{replica or 'the gateway'} answers with {f'version {found}' if found else 'no model'}")
                last = found
            if not answered:
                _pause(deadline, f"the gateway {url} answers with {found or 'no version'}, not {version}")
    return dict(Counter(answered))


def _ask(gateway: httpx.Client) -> tuple[str, str]:
    """Who answered, and with which version; empty where nobody did."""
    try:
        headers = gateway.get("/version", headers={"Connection": "close"}).headers
    except httpx.RequestError:  # also a body that is not as its headers say
        return "", ""
    return headers.get(REPLICA_HEADER, ""), headers.get(VERSION_HEADER, "")


def _pause(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise Unavailable(f"{what}: look at `koboshi status`.")
    time.sleep(_LOOK_S)
