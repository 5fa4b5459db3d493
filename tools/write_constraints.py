"""Write src/koboshi/constraints.txt: the versions of requirements.lock without hashes, which the wheel carries."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"^([\w.\[\]-]+==[^\s\\]+(?: ; [^\\]+?)?)\s*\\?$", re.MULTILINE)
FILE = ROOT / "src" / "koboshi" / "constraints.txt"
HEADER = "# The versions that koboshi is tested with. Written by `make lock`.\n"


def constraints(lock: str) -> str:
    """The pins of a lock, one in a line; extras have no place among constraints."""
    pins = [re.sub(r"\[[^]]*\]", "", pin) for pin in PINNED.findall(lock)]
    return HEADER + "".join(f"{pin}\n" for pin in pins)


if __name__ == "__main__":
    FILE.write_text(constraints((ROOT / "requirements.lock").read_text()))
    sys.stdout.write(f"{FILE} is written\n")
