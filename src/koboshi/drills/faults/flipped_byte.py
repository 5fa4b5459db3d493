"""A byte that rots on a disk."""

import os
import time
from pathlib import Path

from koboshi.drills.strike import Strike
from koboshi.files import sha256_of


def flip_byte(path: Path, target: str) -> Strike:
    """Invert the middle byte of a file in place, past its read-only mode; its size and times stay as they are.

    `took` when the file's SHA-256 differs afterwards.
    """
    before, state = sha256_of(path), path.stat()
    at_s, at_monotonic = time.time(), time.monotonic()
    path.chmod(state.st_mode | 0o200)
    with path.open("r+b") as file:
        file.seek(state.st_size // 2)
        byte = file.read(1)
        file.seek(state.st_size // 2)
        file.write(bytes([byte[0] ^ 0xFF]))
    path.chmod(state.st_mode)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return Strike(
        "flipped byte", target, at_s, at_monotonic, sha256_of(path) != before, None, f"byte {state.st_size // 2}"
    )
