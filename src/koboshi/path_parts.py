"""Names from outside that become paths: refused here, or strictly inside the folder that they are joined to."""

from koboshi.errors import BadInput

PART_BYTES = 255  # what Linux's file systems take for one name
NAME_BYTES = 1_024  # of a whole name; a path has 4,096 bytes, with the folder before it
_ELSEWHERE = (".", "..")


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
    parts = text.split("/")
    reason = next((found for part in parts if (found := _unfit(part))), "")
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
