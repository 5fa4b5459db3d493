"""The supervisor: its configuration, its start, and its control over a Unix socket that only this user can open."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from koboshi.errors import Unavailable
from koboshi.files import publish_bytes
from koboshi.proxies import direct
from koboshi.stack.launch import GAVE_UP
from koboshi.stack.parts import technologies
from koboshi.stack.paths import StackPaths
from koboshi.stack.process_table import TAG, recorded_supervisor, start_ticks

ANSWER_LIMIT_S = 15.0
STOP_LIMIT_S = 12
FOREIGN_SETTINGS = ("SUPERVISOR_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")  # and those that parts name


CONFIGURATION_FILE = "supervisord.conf"
CONFIGURATION = """\
[supervisord]
nodaemon=true
silent=true
logfile={paths.logs}/supervisor.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={paths.own}/supervisord.pid
childlogdir={paths.logs}
[unix_http_server]
file={paths.control_socket}
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = f"""\
[program:{{name}}]
command="{{python}}" -m koboshi.stack.launch {{name}} "{{paths.own}}"
autorestart=unexpected
exitcodes={GAVE_UP}
startsecs=0
stopwaitsecs={STOP_LIMIT_S}
stopasgroup=true
killasgroup=true
stdout_logfile=NONE
stderr_logfile=NONE
"""


def configuration(paths: StackPaths, names: Iterable[str]) -> str:
    """supervisord.conf. The launcher decides about backoff: the supervisor starts again at once, but for `GAVE_UP`."""
    programs = (PROGRAM.format(name=name, python=sys.executable, paths=paths) for name in names)
    return (CONFIGURATION.format(paths=paths) + "".join(programs)).replace("%", "%%")


def write_configuration(paths: StackPaths, names: Iterable[str]) -> None:
    """Publish the configuration that a start or a reload reads."""
    publish_bytes(paths.own / CONFIGURATION_FILE, configuration(paths, names).encode())


def start_supervisor(paths: StackPaths) -> int:
    """Start the supervisor in a session of its own and wait until it answers. The id and start time are recorded."""
    log = (paths.logs / "supervisor.out").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(paths.own / CONFIGURATION_FILE)],
        cwd=paths.state_dir,
        env=environment_of_parts(os.environ, paths),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    (paths.own / "supervisor.start").write_text(f"{process.pid} {start_ticks(process.pid)}")
    deadline = time.monotonic() + ANSWER_LIMIT_S
    while not answers(paths):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(f"the supervisor did not start: read {paths.logs / 'supervisor.out'}.")
        time.sleep(0.1)
    return process.pid


def environment_of_parts(environment: Mapping[str, str], paths: StackPaths) -> dict[str, str]:
    """The caller's environment without what would set up the parts behind our back, and with the stack's tag.

    The parts ask each other directly, whatever proxy the caller's environment names for addresses elsewhere.
    """
    foreign = (*FOREIGN_SETTINGS, *(prefix for found in technologies().values() for prefix in found.foreign))
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    return {**kept, **direct(kept), TAG: paths.stack_id}


def answers(paths: StackPaths) -> bool:
    """Whether the recorded supervisor lives and answers; one that is about to end says so, and no longer answers."""
    recorded = recorded_supervisor(paths)
    if recorded is None or start_ticks(recorded[0]) != recorded[1]:
        return False
    try:
        with connected(paths) as supervisor:
            return bool(supervisor.getPID() == recorded[0])
    except (OSError, Fault):
        return False


@contextlib.contextmanager
def connected(paths: StackPaths) -> Iterator[Any]:
    """The supervisor's calls, such as getAllProcessInfo."""
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{paths.control_socket}")
    with ServerProxy("http://127.0.0.1", transport=transport) as server:
        yield server.supervisor


def process_infos(paths: StackPaths) -> dict[str, dict[str, Any]]:
    """What the supervisor knows of each part; empty when it does not run."""
    if not answers(paths):
        return {}
    with connected(paths) as supervisor:
        return {info["name"]: info for info in supervisor.getAllProcessInfo()}


def add_and_start(paths: StackPaths, names: Iterable[str]) -> None:
    """Let a running supervisor take up new parts, and start those that it has given up."""
    with connected(paths) as supervisor:
        ((added, _changed, _removed),) = supervisor.reloadConfig()
        for name in added:
            supervisor.addProcessGroup(name)
        stopped = {
            i["name"] for i in supervisor.getAllProcessInfo() if i["statename"] in {"EXITED", "STOPPED", "FATAL"}
        }
        for name in sorted(stopped.intersection(names)):
            with contextlib.suppress(Fault):
                supervisor.startProcess(name, False)


def stop_programs(paths: StackPaths, names: Iterable[str], within_s: float) -> None:
    """Have the supervisor end some parts and leave them off. Raises `Unavailable` when one still runs after `within_s`.

    It is asked again until it says so: right after a death it is between seeing that and starting the part anew, and
    refuses to stop what does not run.
    """
    deadline = time.monotonic() + within_s
    while running := set(names).difference(_left_off(paths)):
        with connected(paths) as supervisor:
            for name in sorted(running):
                with contextlib.suppress(Fault):
                    supervisor.stopProcess(name, False)
        time.sleep(0.2)
        if time.monotonic() > deadline and (left := sorted(running.difference(_left_off(paths)))):
            raise Unavailable(f"{', '.join(left)} did not end within {within_s:.0f} s: look at `koboshi status`.")


def _left_off(paths: StackPaths) -> set[str]:
    """The parts that the supervisor does not start by itself: stopped, or given up."""
    infos = process_infos(paths)
    return {
        name
        for name, info in infos.items()
        if info["statename"] in {"STOPPED", "FATAL"} or (info["statename"], info["exitstatus"]) == ("EXITED", GAVE_UP)
    }


def parts_are_stopped(paths: StackPaths) -> bool:
    """Whether no part is running any more."""
    return all(info["statename"] in {"STOPPED", "EXITED", "FATAL", "BACKOFF"} for info in process_infos(paths).values())


def end_supervisor(paths: StackPaths, within_s: float) -> None:
    """Ask all parts at once to end, then the supervisor. Each is killed with its group after `STOP_LIMIT_S`."""
    with connected(paths) as supervisor:
        supervisor.stopAllProcesses(False)
    deadline = time.monotonic() + within_s
    while not parts_are_stopped(paths) and time.monotonic() < deadline:
        time.sleep(0.2)
    with contextlib.suppress(OSError, Fault), connected(paths) as supervisor:
        supervisor.shutdown()
