"""The gateway's health: a prediction comes through it. Without a model in the slot that cannot be: it says so."""

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from koboshi.probes.health import Health
from koboshi.proxies import open_url

NO_MODEL = "no model yet"


def probe_gateway(url: str, example: Any | None, limit_s: float = 10.0) -> Health:
    """Send a request that the slot's model can answer. `example` is None when the slot has no model."""
    body = json.dumps(example if example is not None else {"instances": []}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})  # noqa: S310
    begun = time.monotonic()
    try:
        with open_url(request, limit_s) as answer:
            predictions = json.loads(answer.read())["predictions"]
    except urllib.error.HTTPError as error:
        text = error.read(200).decode(errors="replace")
        if example is None:
            return Health(True, f"{NO_MODEL} (the gateway answers {error.code})")
        return Health(False, f"no prediction came through: {error.code} {text}")
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        return Health(False, f"no prediction came through: {getattr(error, 'reason', error)}"[:200])
    return Health(bool(predictions), f"a prediction through the gateway in {(time.monotonic() - begun) * 1000:.0f} ms")
