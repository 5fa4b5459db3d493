"""The supervisor: its configuration, its start, and its control over a Unix socket that only this user can open."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from koboshi.errors import Unavailable
from koboshi.files import publish_bytes
from koboshi.proxies import direct
from koboshi.stack.launch import GAVE_UP
from koboshi.stack.parts import technologies
from koboshi.stack.places import Places
from koboshi.stack.process_table import TAG, recorded_supervisor, start_ticks

ANSWER_LIMIT_S = 15.0
STOP_LIMIT_S = 12
FOREIGN_SETTINGS = ("SUPERVISOR_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")  # and those that parts name


def configuration(places: Places, names: Iterable[str]) -> str:
    """supervisord.conf. The launcher decides about backoff: the supervisor starts again at once, but for `GAVE_UP`."""
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={places.logs / 'supervisor.log'}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        f"pidfile={places.own / 'supervisord.pid'}",
        f"childlogdir={places.logs}",
        "[unix_http_server]",
        f"file={places.control_socket}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    return "\n".join([*lines, *(_program(places, name) for name in names)]).replace("%", "%%") + "\n"


def _program(places: Places, name: str) -> str:
    return "\n".join(
        [
            f"[program:{name}]",
            f'command="{sys.executable}" -m koboshi.stack.launch {name} "{places.own}"',
            "autorestart=unexpected",
            f"exitcodes={GAVE_UP}",
            "startsecs=0",
            f"stopwaitsecs={STOP_LIMIT_S}",
            "stopasgroup=true",
            "killasgroup=true",
            "stdout_logfile=NONE",
            "stderr_logfile=NONE",
        ]
    )


def write_configuration(places: Places, names: Iterable[str]) -> None:
    """Publish the configuration that a start or a reload reads."""
    publish_bytes(_configuration_path(places), configuration(places, names).encode())


def _configuration_path(places: Places) -> Path:
    return places.own / "supervisord.conf"


def start_supervisor(places: Places) -> int:
    """Start the supervisor in a session of its own and wait until it answers. The id and start time are recorded."""
    log = (places.logs / "supervisor.out").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(_configuration_path(places))],
        cwd=places.state_dir,
        env=environment_of_parts(os.environ, places),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    (places.own / "supervisor.start").write_text(f"{process.pid} {start_ticks(process.pid)}")
    deadline = time.monotonic() + ANSWER_LIMIT_S
    while not answers(places):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(f"the supervisor did not start: read {places.logs / 'supervisor.out'}.")
        time.sleep(0.1)
    return process.pid


def environment_of_parts(environment: Mapping[str, str], places: Places) -> dict[str, str]:
    """The caller's environment without what would set up the parts behind our back, and with the stack's tag.

    The parts ask each other directly, whatever proxy the caller's environment names for addresses elsewhere.
    """
    foreign = (*FOREIGN_SETTINGS, *(prefix for found in technologies().values() for prefix in found.foreign))
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    return {**kept, **direct(kept), TAG: places.stack_id}


def answers(places: Places) -> bool:
    """Whether the recorded supervisor lives and answers; one that is about to end says so, and no longer answers."""
    recorded = recorded_supervisor(places)
    if recorded is None or start_ticks(recorded[0]) != recorded[1]:
        return False
    try:
        with connected(places) as supervisor:
            return bool(supervisor.getPID() == recorded[0])
    except (OSError, Fault):
        return False


@contextlib.contextmanager
def connected(places: Places) -> Iterator[Any]:
    """The supervisor's calls, such as getAllProcessInfo."""
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{places.control_socket}")
    with ServerProxy("http://127.0.0.1", transport=transport) as server:
        yield server.supervisor


def process_infos(places: Places) -> dict[str, dict[str, Any]]:
    """What the supervisor knows of each part; empty when it does not run."""
    if not answers(places):
        return {}
    with connected(places) as supervisor:
        return {info["name"]: info for info in supervisor.getAllProcessInfo()}


def add_and_start(places: Places, names: Iterable[str]) -> None:
    """Let a running supervisor take up new parts, and start those that it has given up."""
    with connected(places) as supervisor:
        ((added, _changed, _removed),) = supervisor.reloadConfig()
        for name in added:
            supervisor.addProcessGroup(name)
        stopped = {
            i["name"] for i in supervisor.getAllProcessInfo() if i["statename"] in {"EXITED", "STOPPED", "FATAL"}
        }
        for name in sorted(stopped.intersection(names)):
            with contextlib.suppress(Fault):
                supervisor.startProcess(name, False)


def stop_parts(places: Places) -> None:
    """Ask all parts at once to end; each is killed with its group after `STOP_LIMIT_S`."""
    with connected(places) as supervisor:
        supervisor.stopAllProcesses(False)


def parts_are_stopped(places: Places) -> bool:
    """Whether no part is running any more."""
    return all(
        info["statename"] in {"STOPPED", "EXITED", "FATAL", "BACKOFF"} for info in process_infos(places).values()
    )


def shut_down(places: Places) -> None:
    """End the supervisor."""
    with contextlib.suppress(OSError, Fault), connected(places) as supervisor:
        supervisor.shutdown()
