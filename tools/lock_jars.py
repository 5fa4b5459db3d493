"""Resolve the jars of the stack's parts anew and write their locks, src/koboshi/stack/parts/*.lock (`make lock`).

Only this looks at what depends on what. A machine that installs takes the listed files as they are, by SHA-256.
"""

import sys
import tempfile
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

from koboshi.files import sha256_of
from koboshi.stack.parts.jars import repositories
from koboshi.stack.parts.kafka import JARS as KAFKA
from koboshi.stack.parts.schema_registry import JARS as SCHEMA_REGISTRY

BROKER = "org.apache.kafka:kafka_2.13:4.3.1"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"  # without it the broker logs nothing
HEADER = "# Kafka's jars: SHA-256 and coordinate of each. Written by `make lock`.\n"
REGISTRY = ("io.apicurio", "apicurio-registry-app", "3.3.3", "tar.gz", "all")  # an archive with all that it needs
REGISTRY_HEADER = "# The schema registry: SHA-256 and coordinate. Written by `make lock`.\n"


def main() -> None:
    """Resolve, download, hash, write."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), remote_repos=repositories(), timeout=60)
        # The binding is left out of the resolution: its parent would choose other versions for the broker's own jars.
        chosen, needed = PythonResolver().resolve([Dependency(context.create_dependency(BROKER).artifact)])
        lines = {_line(dependency) for dependency in (*chosen, *needed, context.create_dependency(LOG_BINDING))}
        group, name, version, packaging, classifier = REGISTRY
        archive = context.project(group, name).at_version(version).artifact(classifier=classifier, packaging=packaging)
        registry = f"{sha256_of(archive.resolve())}  {':'.join(REGISTRY)}\n"
    KAFKA.lock.write_text(HEADER + "".join(sorted(lines, key=lambda line: line.split()[1])))
    SCHEMA_REGISTRY.lock.write_text(REGISTRY_HEADER + registry)
    sys.stdout.write(f"{len(lines)} jars in {KAFKA.lock}, the archive in {SCHEMA_REGISTRY.lock}\n")


def _line(dependency: Dependency) -> str:
    artifact = dependency.artifact
    return f"{sha256_of(artifact.resolve())}  {artifact.groupId}:{artifact.artifactId}:{artifact.version}\n"


if __name__ == "__main__":
    main()
