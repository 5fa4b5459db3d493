"""Names from outside: one that becomes a path, and one that says where a function or a class is."""

import pkgutil
from typing import Any

from koboshi.errors import BadInput

PART_BYTES = 255  # what Linux's file systems take for one name
NAME_BYTES = 1_024  # of a whole name; a path has 4,096 bytes, with the folder before it
_ELSEWHERE = (".", "..")
_UNRESOLVED = "{what} {path} cannot be loaded ({error}): write it as package.module:name."


def one_part(text: str, what: str) -> str:
    """`text`, if it can be the name of one file or folder; `what` says in the error which name it is.

    Raises `BadInput` for a name that is empty, `.` or `..`, holds `/` or NUL, is longer than 255 bytes, or cannot be
    written as UTF-8.
    """
    if reason := _unfit(text):
        raise BadInput(f"{what} {_shown(text)} {reason}: it becomes the name of a file or folder, choose another one.")
    return text


def parts_below(text: str, what: str) -> str:
    """`text`, if it is one or more such names with `/` between them (`model/0`): a path that stays below its folder."""
    reason = next((found for part in text.split("/") if (found := _unfit(part))), "")
    if text.startswith("/"):
        reason = "is absolute"
    elif not reason and len(text.encode()) > NAME_BYTES:
        reason = f"is longer than {NAME_BYTES:,} bytes"
    if reason:
        raise BadInput(f"{what} {_shown(text)} {reason}: it becomes a path inside a folder, choose another one.")
    return text


def _unfit(part: str) -> str:
    """Why a text cannot be the name of a file; empty if it can."""
    if part == "":
        return "is empty, or has an empty part"
    if part in _ELSEWHERE:
        return "leads to another folder"
    if "/" in part or "\0" in part:
        return f"holds {'/' if '/' in part else 'NUL'}"
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        return "cannot be written as UTF-8"
    return f"is longer than {PART_BYTES} bytes" if size > PART_BYTES else ""


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}…"


def resolve(path: str, what: str) -> Any:
    """What `package.module:name` names, its module imported; `what` says in the error which thing it is.

    Raises `BadInput` when there is no such module, or nothing of this name in it.
    """
    if not path.partition(":")[2]:
        raise BadInput(_UNRESOLVED.format(what=what, path=path, error="no name behind a colon"))
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(_UNRESOLVED.format(what=what, path=path, error=error)) from error
