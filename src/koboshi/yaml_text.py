"""YAML that a person has written: whatever is wrong with it, one sentence."""

from pathlib import Path
from typing import Any

from koboshi.errors import BadInput


def load_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an absent or empty file has none.

    Raises `BadInput`, which names the file, for what cannot be read, is no YAML, or is no mapping.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_bytes()) if path.is_file() else None
    except RecursionError:
        raise BadInput(f"{path} cannot be read (it is nested too deeply): mend it or take it from git again.") from None
    except (OSError, yaml.YAMLError, ValueError) as error:  # a date that is in no calendar is a ValueError
        raise BadInput(f"{path} cannot be read ({_in_one_line(error)}): mend it or take it from git again.") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no table of names and values: mend it or take it from git again.")
    return found


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
