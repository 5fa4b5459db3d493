"""The text of docker-compose.yml, as a person would write it: short lists in one line, what is shared by name."""

from collections.abc import Sequence
from typing import Any

import yaml

from koboshi.stack.compose_file import SHARED, compose
from koboshi.stack.site import Site

FILE = "docker-compose.yml"
HEADER = """\
# The stack in containers, from one image (deploy/Dockerfile). docs/containers.md tells how to use it.
# Written by `koboshi compose render`, from the table of parts that `koboshi up` starts: change it in src/koboshi/stack.
"""
LONGEST_LINE = 1000  # so that no value is folded


def render(site: Site) -> str:
    """The whole text. Pure."""
    content = compose(site)
    shared = content[SHARED]

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return not any(data is value for value in shared.values())

    Dumper.add_representer(list, _in_one_line)
    text = yaml.dump(content, Dumper=Dumper, sort_keys=False, width=LONGEST_LINE)
    for number, name in enumerate(shared, start=1):
        text = text.replace(f"&id{number:03d}", f"&{name}").replace(f"*id{number:03d}", f"*{name}")
    return f"{HEADER}{text}"


def _in_one_line(dumper: yaml.SafeDumper, data: Sequence[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
