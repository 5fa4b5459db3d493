"""A Docker daemon: the one that there is, or one of our own that leaves nothing behind (root on Debian)."""

import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0
PULL_LIMIT_S = 300.0
DEBIAN = "koboshi-test-base"  # the name of a base of our own making
# A base image gets this machine's way to its package indexes: settings, proxies, certificates.
SETTINGS = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_", "CURL_CA_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
FILES = ("/etc/pip.conf", "/usr/local/share/ca-certificates")


@dataclasses.dataclass(frozen=True)
class Docker:
    """A client of one daemon."""

    host: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """For any client that has to find this daemon."""
        own = {"DOCKER_HOST": self.host} if self.host else {}
        return {**os.environ, "DOCKER_BUILDKIT": "0", **own}

    def run(self, *words: str, timeout_s: float = 120, check: bool = True) -> str:
        """Run `docker WORDS…`; what it wrote. An unexpected exit code fails with what it said."""
        return call(("docker", *words), self.environment, timeout_s=timeout_s, check=check)

    def answers(self) -> bool:
        """Whether the daemon is there."""
        command = ("docker", "info", "--format", "{{.ServerVersion}}")
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        return done.returncode == 0 and bool(done.stdout.strip())


def call(
    command: tuple[str, ...],
    environment: dict[str, str],
    *,
    cwd: Path | None = None,
    timeout_s: float = 120,
    check: bool = True,
) -> str:
    """Run a command to its end; what it wrote to stdout and stderr."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def can_start_one() -> bool:
    """Whether a daemon of our own is possible: root, and Debian's package."""
    return os.geteuid() == 0 and shutil.which("dockerd") is not None


@contextmanager
def daemon() -> Iterator[Docker]:
    """The daemon that the environment names, or one of our own for as long as the block lasts."""
    if Docker().answers():
        yield Docker()
        return
    with tempfile.TemporaryDirectory(prefix="koboshi-docker-") as folder, _own_daemon(Path(folder)) as docker:
        yield docker


@contextmanager
def _own_daemon(folder: Path) -> Iterator[Docker]:
    """Images and sockets are in `folder`; no firewall rule is made, and no bridge but those of its networks."""
    docker = Docker(f"unix://{folder}/docker.sock")
    flags = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
    words = [f"--{flag}={folder / name}" for flag, name in flags.items()]
    without = ("--bridge=none", "--iptables=false", "--ip-forward=false")
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            ("dockerd", "-H", docker.host, *words, *without), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_for(docker, process, folder / "dockerd.log")
        yield docker
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT_S)
        _remove_what_a_daemon_leaves(folder)


def _remove_what_a_daemon_leaves(folder: Path) -> None:
    """A mounted namespace, and the control groups that its containers were in, unless another daemon has some there."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in (place for place in mounted if place.startswith(f"{folder}/")):
        call(("umount", place), dict(os.environ))
    for group in (*Path("/sys/fs/cgroup").glob("docker"), *Path("/sys/fs/cgroup").glob("*/docker")):
        with suppress(OSError):
            group.rmdir()


def _wait_for(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not docker.answers():
        assert process.poll() is None, f"dockerd ended with {process.returncode}:\n{log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"dockerd did not answer:\n{log.read_text()[-4000:]}"
        time.sleep(0.3)


def base_image(docker: Docker, default: str) -> str:
    """The image that ours is built on: the default one, or where no registry is reached, Debian from its packages."""
    if docker.run("image", "ls", "-q", default).strip():
        return default
    try:
        docker.run("pull", default, timeout_s=PULL_LIMIT_S)
    except (AssertionError, subprocess.TimeoutExpired):
        return _debian(docker)
    return default


def _debian(docker: Docker) -> str:
    """A minimal Debian of this machine's release, with its settings for package indexes."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    with tempfile.TemporaryDirectory(prefix="koboshi-base-") as folder:
        root = Path(folder) / "root"
        include = "--include=python3,python3-venv,ca-certificates"
        words = ("debootstrap", "--variant=minbase", include, release["VERSION_CODENAME"], str(root))
        call(words, dict(os.environ), timeout_s=600)
        _copy_settings(root)
        call(("chroot", str(root), "update-ca-certificates"), dict(os.environ))
        changes = [word for line in _environment_lines(root) for word in ("--change", line)]
        call(("tar", "-C", str(root), "-cf", f"{folder}/base.tar", "."), dict(os.environ), timeout_s=300)
        docker.run("import", *changes, f"{folder}/base.tar", DEBIAN, timeout_s=300)
    return DEBIAN


def _copy_settings(root: Path) -> None:
    for name in map(Path, FILES):
        target = root / name.relative_to("/")
        if name.is_dir():
            shutil.copytree(name, target, dirs_exist_ok=True)
        elif name.is_file():
            shutil.copy(name, target)


def _environment_lines(root: Path) -> list[str]:
    """This machine's variables for package indexes; those that name a path that is not in the image are left out."""
    kept = {key: value for key, value in os.environ.items() if key.upper().startswith(SETTINGS)}
    return [f"ENV {k}={v}" for k, v in kept.items() if not v.startswith("/") or (root / v.lstrip("/")).exists()]
