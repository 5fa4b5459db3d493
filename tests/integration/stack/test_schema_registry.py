"""The schema registry as a user meets it: named, started, killed, and gone with the stack."""

import json
import time
from collections.abc import Iterator

import pytest

from koboshi.errors import Unavailable
from koboshi.probes.http_json import call
from koboshi.stack.parts.schema_registry import JARS, NAME, SchemaRegistry
from tests.support.running_stack import REPOSITORY, UNMEASURED, RunningStack, project_copy

pytestmark = pytest.mark.parts
CACHE = REPOSITORY / ".koboshi" / "cache"
SCHEMA = '"string"'


@pytest.fixture(scope="module")
def alone() -> Iterator[RunningStack]:
    """A project in which nothing but the registry runs; its archive is kept with this clone's cache."""
    jars = JARS.fetch(CACHE)
    with project_copy() as stack:
        target = stack.project / ".koboshi" / "cache" / NAME
        target.mkdir(parents=True)
        (target / jars.name).symlink_to(jars, target_is_directory=True)
        stack.up(NAME)
        yield stack


def shown(stack: RunningStack, **environment: str) -> dict[str, object]:
    parts = json.loads(stack.run("status", "--json", check=False, **environment).stdout)["parts"]
    (part,) = (part for part in parts if part["name"] == NAME)
    return dict(part)


def test_it_does_real_work_and_loses_no_schema_when_it_is_killed(alone: RunningStack) -> None:
    """What it has accepted it still knows, when it comes back by itself; `logs` shows what it wrote."""
    assert shown(alone)["state"] == "healthy"
    url = str(alone.settings.of(SchemaRegistry).url)
    number = call(f"{url}/subjects/mine/versions", {"schema": SCHEMA})["id"]
    assert f"KILL was sent to {NAME}" in alone.run("kill", NAME).stdout
    deadline = time.monotonic() + 120
    while shown(alone, **UNMEASURED)["state"] != "healthy":  # asked many times beside the part's start
        assert time.monotonic() < deadline
    assert shown(alone)["restarts"] == 1
    assert call(f"{url}/schemas/ids/{number}")["schema"] == SCHEMA
    assert "apicurio-registry-app" in alone.run("logs", NAME).stdout


def test_it_is_gone_with_the_stack(alone: RunningStack) -> None:
    """No process, no port: `down` of the fixture looks."""
    url = str(alone.settings.of(SchemaRegistry).url)
    alone.down()
    with pytest.raises(Unavailable):
        call(f"{url}/subjects")
