"""These tests build an image and start containers: `make compose-test` runs them, `make test` does not."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.compose_stack import ComposeStack, compose_stack
from tests.support.docker_daemon import DEBIAN, Docker, base_image, can_start_one, daemon
from tests.support.running_stack import REPOSITORY

collect_ignore_glob = [] if os.environ.get("COMPOSE_TEST") == "1" else ["test_*.py"]

DEFAULT_BASE = "python:3.12-slim-bookworm"
BUILD_LIMIT_S = 1800.0
IMAGE = "koboshi-test"

Say = Callable[[str], None]


@pytest.fixture(scope="session")
def say() -> Say:
    """A line for the person who waits, with the seconds since the beginning."""
    begun = time.monotonic()

    def line(text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - begun:4.0f} s] {text}\n")
        sys.stdout.flush()

    return line


@pytest.fixture(scope="session")
def docker(lacking: Callable[[str], NoReturn], say: Say) -> Iterator[Docker]:
    """A daemon, and what is needed to speak with it."""
    if not shutil.which("docker") or not (Docker().answers() or can_start_one()):
        lacking("no Docker daemon answers, and none can be started: start one, or run `make tools` as root on Debian")
    with daemon() as found:
        say("a daemon of our own" if found.host else "the daemon of this machine")
        yield found


@pytest.fixture(scope="session")
def base(docker: Docker, say: Say) -> Iterator[str]:
    """What our image is built on: KOBOSHI_BASE, or else what can be had. Our own making is removed at the end."""
    begun, chosen = time.monotonic(), os.environ.get("KOBOSHI_BASE")
    found = chosen or base_image(docker, DEFAULT_BASE)
    say(f"base image {found} after {time.monotonic() - begun:.0f} s")
    yield found
    if found == DEBIAN and not chosen:
        docker.run("image", "rm", DEBIAN, check=False)


@pytest.fixture(scope="session")
def build(docker: Docker, base: str) -> Callable[[Path, str], None]:
    """`build(folder, tag)` builds our image from a copy of the project."""

    def run(folder: Path, tag: str) -> None:
        words = ("--network", "host", "--build-arg", f"BASE={base}", "-f", "deploy/Dockerfile", "-t", tag)
        docker.run("build", *words, str(folder), timeout_s=BUILD_LIMIT_S)

    return run


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the image is built from."""
    folder = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        name = line.removeprefix("!")
        if line.startswith("!") and (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
        elif line.startswith("!"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    shutil.copytree(REPOSITORY / "deploy", folder / "deploy")
    shutil.copy2(REPOSITORY / ".dockerignore", folder)
    return folder


@pytest.fixture(scope="session")
def image(docker: Docker, build: Callable[[Path, str], None], source: Path, say: Say) -> Iterator[str]:
    """Our image, removed at the end."""
    begun = time.monotonic()
    build(source, IMAGE)
    size = int(docker.run("image", "inspect", "-f", "{{.Size}}", IMAGE))
    say(f"image built in {time.monotonic() - begun:.0f} s, {size / 1e9:.1f} GB")
    yield IMAGE
    docker.run("image", "rm", "-f", IMAGE, check=False)


@pytest.fixture(scope="session")
def stack(docker: Docker, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The stack, not yet started."""
    with compose_stack(docker, image, tmp_path_factory.mktemp("compose")) as made:
        yield made
