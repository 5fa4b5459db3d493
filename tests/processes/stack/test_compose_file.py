"""The tools for such files are content with docker-compose.yml and with the image's Dockerfile."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from koboshi.stack.compose_file import FILE
from koboshi.stack.compose_prepare import ensure_env_file

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("client", [["docker-compose"], ["docker", "compose"]], ids=" ".join)
def test_compose_is_content_with_the_file(client: list[str], tmp_path: Path, tool: Callable[[str], str]) -> None:
    """With the secrets that `koboshi compose init` makes; without them it says what to do. Both clients, if there."""
    if client == ["docker-compose"]:
        tool("docker-compose")
    elif not shutil.which("docker") or subprocess.run([*client, "version"], capture_output=True).returncode:
        pytest.skip("Compose v2 is not installed; docker-compose 1.29 has looked at the file")
    shutil.copy(REPOSITORY / FILE, tmp_path)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("KOBOSHI_", "COMPOSE_"))}
    check = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    without = subprocess.run([*client, "config", "-q"], **check)
    assert without.returncode != 0
    assert "run koboshi compose init first" in without.stderr
    ensure_env_file(tmp_path / ".env")
    done = subprocess.run([*client, "config"], **check)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(
        yaml.safe_load((REPOSITORY / FILE).read_text())["services"]
    )


def test_hadolint_is_content_with_the_dockerfile() -> None:
    """Its rules for images, shellcheck's for what they run."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", REPOSITORY / "deploy/Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
