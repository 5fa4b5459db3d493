"""Which addresses are never asked through a proxy: this machine's own, whatever `http_proxy` and the like say.

A proxy on another machine cannot reach a part that listens on 127.0.0.1. Clients learn that in two ways: those of
koboshi's rooms look at the address (`on_loopback`); all others, such as MLflow's client, Airflow's tasks and Ray's
jobs, read `no_proxy` in their environment (`direct`). Other addresses are asked as the user's environment says.
"""

import functools
import ipaddress
import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAMES = ("no_proxy", "NO_PROXY")  # some clients read one, some the other
GRPC_NAME = "no_grpc_proxy"  # where it is set, gRPC reads this one instead


def direct(environment: Mapping[str, str], hosts: Iterable[str] = LOOPBACK) -> dict[str, str]:
    """The variables, to be put into an environment, that keep its clients from asking `hosts` through a proxy.

    Hosts that the user's variables name stay, and `*` (no proxy at all) stays alone. Done twice, the same comes out.
    """
    names = (*NAMES, *((GRPC_NAME,) if GRPC_NAME in environment else ()))
    # One spelling that is not set is read as the other by most clients.
    given = {name: next((environment[one] for one in (name, *NAMES) if one in environment), "") for name in names}
    return {name: _extended(entries, hosts) for name, entries in given.items()}


def _extended(given: str, hosts: Iterable[str]) -> str:
    entries = [entry.strip() for entry in given.split(",") if entry.strip()]
    return "*" if "*" in entries else ",".join(dict.fromkeys([*entries, *hosts]))


def on_loopback(url: str) -> bool:
    """Whether an address is of this machine alone: localhost, 127.0.0.0/8 or ::1."""
    host = _host(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # no URL at all: the client that gets it says so
        return ""


def for_httpx(url: str) -> dict[str, None]:
    """What the library httpx takes as `mounts` for this address."""
    host = _host(url)
    return {f"all://[{host}]" if ":" in host else f"all://{host}": None} if on_loopback(url) else {}


def client(url: str, **options: Any) -> "httpx.Client":
    """A client for what is at this address, without a proxy where that is this machine; `options` are httpx's."""
    import httpx

    return httpx.Client(mounts=for_httpx(url), verify=_certificates(url), **options)


def _certificates(url: str) -> ssl.SSLContext:
    """Those that are trusted; for plain HTTP on this machine none, which would take longer to read than the answer.

    A redirect from there to HTTPS is refused, then.
    """
    if url.startswith("http://") and on_loopback(url):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _trusted()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The system's certificates and httpx's, and those of REQUESTS_CA_BUNDLE, which MLflow's own client trusts, too.

    Made once for each process, because that takes tens of milliseconds.
    """
    import httpx

    context = httpx.create_ssl_context()
    context.load_default_certs()
    bundle = os.environ.get("REQUESTS_CA_BUNDLE", "")
    if Path(bundle).is_file():
        context.load_verify_locations(cafile=bundle)
    elif bundle and Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    return context
