"""What a project asks for: its settings, addresses elsewhere, ports, and files that others must not read."""

import re
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from koboshi.errors import KoboshiError, NotConfigured, Unavailable
from koboshi.files import refused
from koboshi.probes.http_json import Refused, call
from koboshi.settings import FILE, Settings
from koboshi.stack import supervisor_control as supervisor
from koboshi.stack.doctor import Finding, judged
from koboshi.stack.part import TABLE
from koboshi.stack.parts import technologies
from koboshi.stack.paths import StackPaths, check_socket_length, find_paths
from koboshi.stack.process_table import find_leftovers
from koboshi.stack.topology import BLOCK, choose_base, first_ephemeral_port, is_free, kept_base

LIMIT_S = 3.0
ENV_FILE = ".env"
ADDRESS = re.compile(r"[a-z+]+://[^/]|[^/\s]+:\d+")
NAMED = 3  # ports that a sentence names


def findings(settings: Settings, by_hand: Settings, misfits: Sequence[str]) -> Iterator[Finding]:
    """Ask all of them."""
    paths = find_paths(settings.project, settings.state_dir)
    yield as_settings(misfits)
    yield state_folder(refused([paths.state_dir]))
    yield sockets(lambda: check_socket_length(paths.runtime))
    yield private_files({path: mode for path in secrets_of(paths, by_hand) if (mode := mode_of(path)) is not None})
    yield from _of_the_stack(settings, paths)
    for setting, address in addresses(by_hand).items():
        yield address_elsewhere(setting, address, why_not_reached(address))


def as_settings(misfits: Sequence[str]) -> Finding:
    """koboshi.toml and the environment, as they are written."""
    return judged(
        "settings", well=not misfits, found=" ".join(misfits) or "fit", remedy=f"mend {FILE}, or the variable"
    )


def state_folder(error: KoboshiError | None) -> Finding:
    """Whether this user may write it."""
    return judged("state folder", well=error is None, found=str(error or "can be written"), remedy="as said")


def sockets(check: Callable[[], None]) -> Finding:
    """Whether the temporary folder's path is short enough for sockets."""
    try:
        check()
    except NotConfigured as error:
        return Finding("sockets", "wrong", str(error), "set TMPDIR to a shorter path, such as /tmp")
    return Finding("sockets", "ok", "the path of the temporary folder is short enough")


def secrets_of(paths: StackPaths, by_hand: Settings) -> list[Path]:
    """The files that hold secrets, whether or not they are there."""
    files = {secret.file for found in technologies().values() for secret in found.secrets if secret.file}
    own = [paths.own / name for name in sorted({"secrets.json", TABLE, *files})]
    named = [path for path in (by_hand.airflow.passwords_path, by_hand.ray.token_path) if path]
    return [*own, paths.project / ENV_FILE, *named]


def mode_of(path: Path) -> int | None:
    """A file's permissions; None where there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def private_files(modes: Mapping[Path, int]) -> Finding:
    """Secrets are for their owner alone."""
    opened = [str(path) for path, mode in modes.items() if mode & 0o077]
    said = f"others may read {', '.join(opened)}" if opened else f"{len(modes)} files, for their owner alone"
    return judged("secrets", well=not opened, found=said, remedy=f"chmod 600 {' '.join(opened)}")


def _of_the_stack(settings: Settings, paths: StackPaths) -> Iterator[Finding]:
    if supervisor.answers(paths):
        yield Finding("stack", "ok", "is up: `koboshi status` shows its parts")
        return
    yield leftovers(len(find_leftovers(paths)))
    base = kept_base(paths) or settings.stack.base_port
    taken = [port for port in range(base, base + BLOCK) if not is_free(port)]
    yield ports(base, holders(taken), _next_free(settings.stack.base_port) if taken else base)


def leftovers(count: int) -> Finding:
    """Processes of a stack whose supervisor is gone."""
    said = f"{count} processes of it have no supervisor" if count else "is down"
    return judged("stack", well=not count, found=said, remedy="`koboshi down` ends them", otherwise="note")


def ports(base: int, taken: Mapping[int, str], instead: int | None) -> Finding:
    """The block that `koboshi up` takes: `taken` says who has which of its ports, `instead` is the next free block."""
    named = [f"{port} is {name}'s" for port, name in taken.items()]
    who = ", ".join([*named[:NAMED], *([f"{len(named) - NAMED} more are taken"] if len(named) > NAMED else [])])
    block = f"{base} to {base + BLOCK - 1}"
    if instead is None:
        remedy = "end that process, or set [stack] base_port to the first of 100 free ports"
        return Finding("ports", "wrong", f"of {block}, {who}; no other block is free", remedy)
    remedy = f"nothing: `koboshi up` takes {instead} to {instead + BLOCK - 1}; end that process to keep the addresses"
    said = f"of {block}, {who}" if taken else f"{block} are free"
    return judged("ports", well=not taken, found=said, remedy=remedy, otherwise="note")


def _next_free(wanted: int) -> int | None:
    try:
        return choose_base(wanted, None, frozenset(), first_ephemeral_port(), is_free)
    except NotConfigured:
        return None


def holders(taken: Iterable[int]) -> dict[int, str]:
    """Who listens on each of these ports, as far as this user may know."""
    import psutil

    connections = psutil.net_connections("tcp")
    found = {one.laddr.port: one.pid for one in connections if one.laddr and one.status == psutil.CONN_LISTEN}
    return {port: process_name(found.get(port)) for port in taken}


def process_name(pid: int | None) -> str:
    """A process by its name and id."""
    import psutil

    try:
        return f"{psutil.Process(pid).name()} (process {pid})" if pid else "another user's process"
    except psutil.Error:
        return f"process {pid}"


def addresses(by_hand: Settings) -> dict[str, str]:
    """The addresses of servers that koboshi.toml or the environment names, by their settings."""
    sections = {found.section_name: getattr(by_hand, found.section_name, ()) for found in technologies().values()}
    values = {f"{name}.{key}": value for name, section in sections.items() for key, value in section}
    values["ledger_url"] = by_hand.ledger_url
    return {name: value for name, value in values.items() if isinstance(value, str) and ADDRESS.match(value)}


def address_elsewhere(setting: str, address: str, why_not: str | None) -> Finding:
    """A server that runs elsewhere."""
    shown = re.sub("//[^/@]*@", "//", address)  # without a password
    said = shown if why_not is None else f"{shown} does not answer: {why_not}"
    remedy = f"start it, or mend {setting} in {FILE} or in the environment"
    return judged(setting, well=why_not is None, found=said, remedy=remedy)


def why_not_reached(address: str) -> str | None:
    """None where something answers at a URL, or accepts at one of some `host:port`; and where no port is named."""
    if address.startswith(("http://", "https://")):
        return _why_silent(address)
    hosts = urlsplit(address).netloc.rpartition("@")[2] if "://" in address else address
    reasons = [_why_closed(one) for one in hosts.split(",") if ":" in one]
    return None if not reasons or None in reasons else reasons[0]


def _why_silent(url: str) -> str | None:
    try:
        call(url, limit_s=LIMIT_S)
    except Refused:
        return None  # that is an answer
    except Unavailable as error:
        return None if isinstance(error.__cause__, ValueError) else str(error.__cause__ or error).rstrip(".")
    return None


def _why_closed(address: str) -> str | None:
    host, _, port = address.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=LIMIT_S):
            return None
    except (ValueError, OverflowError):
        return "its port is not a number of a port"
    except OSError as error:
        return error.strerror or str(error)
