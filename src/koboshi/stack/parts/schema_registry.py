"""The schema registry: Apicurio from its published archive, by its Confluent-compatible interface. Off by default.

`python -m koboshi.stack.parts.schema_registry CACHE` fetches and unpacks it, before the first start.
"""

import json
import shutil
import sys
import time
from pathlib import Path

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import call, reading
from koboshi.settings import Section
from koboshi.stack.part import Part, Step
from koboshi.stack.parts import Technology
from koboshi.stack.parts.jars import Jars
from koboshi.stack.topology import LOOPBACK, Ports, Topology

HTTP, MANAGEMENT = 92, 93
NAME, MODULE = "schema-registry", "koboshi.stack.parts.schema_registry"  # run as a program, it is called __main__
JARS = Jars(NAME, Path(__file__).with_name("schema_registry.lock"), "the schema registry (159 MB, once)")
HEAP = ("-Xms64m", "-Xmx320m", "-XX:+UseSerialGC")
GROUP, SUBJECT = "koboshi", "koboshi-probe"
SCHEMA = {"type": "record", "name": "Probe", "namespace": "koboshi", "fields": [{"name": "at", "type": "long"}]}


class SchemaRegistry(Section):
    """[schema_registry]: the address that Confluent's clients call `schema.registry.url`."""

    url: str | None = None


def main() -> None:
    """Safe to run again, also after a crash in the middle: the folder appears by a rename, when it is complete."""
    cache = Path(sys.argv[1])
    folder = program_folder(cache)
    if folder.is_dir():
        return
    (archive,) = JARS.fetch(cache).glob("*.tar.gz")
    unfinished = folder.with_name(f"{folder.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.unpack_archive(archive, unfinished)
    unfinished.rename(folder)


def program_folder(cache: Path) -> Path:
    """Where the archive is unpacked, or will be."""
    return JARS.folder(cache) / "unpacked"


def registry_url(ports: Ports) -> str:
    """What a client is given."""
    return f"http://{ports.address(NAME, HTTP)}/apis/ccompat/v7"


def registry_part(topology: Topology) -> Part:
    """One process. Its schemas are in a database file, written through at once: a kill loses none that was accepted.

    Its second port is for the program's own health and metrics; by default that would listen to the network.
    """
    paths, ports = topology.paths, topology.ports
    folder, state = program_folder(paths.cache), paths.state_dir / NAME
    values = {
        "quarkus.http.host": ports.listen,
        "quarkus.http.port": ports.at(HTTP),
        "quarkus.http.access-log.enabled": "false",
        "quarkus.management.host": LOOPBACK,
        "quarkus.management.port": ports.at(MANAGEMENT),
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.url": f"jdbc:h2:file:{state / 'registry'};WRITE_DELAY=0",
    }
    java = (topology.executables.java, *HEAP, *(f"-D{key}={value}" for key, value in values.items()))
    return Part(
        name=NAME,
        group=NAME,
        argv=(*java, "-jar", str(folder / "quarkus-run.jar")),
        environment={"LC_ALL": "C.UTF-8"},
        folder=state,
        log=paths.logs / f"{NAME}.log",
        ports=(ports.at(HTTP), ports.at(MANAGEMENT)),
        steps=(Step((topology.executables.python, "-m", MODULE, str(paths.cache)), folder / "quarkus-run.jar"),),
        address=registry_url(ports),
    )


def probe_registry(url: str, limit_s: float = 10.0) -> Health:
    """Register the probe's schema, in a group of its own where the registry has groups, and read it by its id."""
    begun, group = time.monotonic(), {"X-Registry-GroupId": GROUP}
    try:
        with reading(url):
            sent = {"schema": json.dumps(SCHEMA)}
            number = int(call(f"{url}/subjects/{SUBJECT}/versions", sent, headers=group, limit_s=limit_s)["id"])
            found = json.loads(call(f"{url}/schemas/ids/{number}", headers=group, limit_s=limit_s)["schema"])
    except Unavailable as error:
        return Health(False, f"no schema could be registered and read ({error})"[:200])
    if found != SCHEMA:
        return Health(False, f"schema {number} is not the one that was registered")
    return Health(True, f"a schema registered and read in {time.monotonic() - begun:.1f} s")


TECHNOLOGY = Technology(
    group=NAME,
    parts=lambda topology, _groups: (registry_part(topology),),
    by_default=False,
    address=lambda settings: settings.of(SchemaRegistry).url,
    section=SchemaRegistry,
    endpoints=lambda topology: {"url": registry_url(topology.ports)},
    jars=JARS,
    folders=(NAME,),
    probe=lambda settings, _parts: probe_registry(str(settings.of(SchemaRegistry).url)),
)

if __name__ == "__main__":
    main()
