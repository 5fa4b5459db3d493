"""What the machine gives: processors, memory, disk, and the tools of its system."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from koboshi.stack.doctor import Finding, judged
from koboshi.stack.paths import FREE_DISK_BYTES

GIB = 1024**3
CORES = 2
STACK_BYTES = 4 * GIB
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Debian keeps PostgreSQL's programs where the path does not lead.
DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")
NEEDED = {"git": "DVC and `koboshi init` call it"}
OF_TESTS = ("make", "strace", "chromium", "chromedriver", "wrk", "docker", "docker-compose", "unshare", "postgres")


def findings(state_dir: Path) -> Iterator[Finding]:
    """Ask all of them."""
    import psutil

    memory = psutil.virtual_memory()
    folder = next(path for path in (state_dir, *state_dir.parents) if path.exists())
    found = {name: where(name) for name in (*NEEDED, *OF_TESTS)}
    yield cores(len(os.sched_getaffinity(0)))
    yield total_memory(min(memory.total, cgroup_limit(memory.total)))
    yield free_memory(memory.available)
    yield disk(shutil.disk_usage(folder).free, folder)
    yield from needed_tools(found)
    yield tools_of_tests(found)


def cores(count: int) -> Finding:
    """Fewer than two, and parts wait for each other until some are taken for dead."""
    remedy = f"give the machine {CORES} processors, or start some parts only, such as `koboshi up kafka mlflow`"
    return judged("processors", well=count >= CORES, found=f"{count}", remedy=remedy, otherwise="note")


def total_memory(size_bytes: int) -> Finding:
    """What the whole stack takes."""
    found = f"{size_bytes / GIB:.1f} GiB; the whole stack takes {STACK_BYTES / GIB:.0f}"
    remedy = "give the machine more, or start some parts only, such as `koboshi up kafka mlflow`"
    return judged("memory", well=size_bytes >= STACK_BYTES, found=found, remedy=remedy)


def free_memory(size_bytes: int) -> Finding:
    """It may be this stack itself that has taken it, so this is no fault."""
    found = f"{size_bytes / GIB:.1f} GiB are free"
    remedy = "end other programs before `koboshi up`, unless the stack is up already"
    return judged("free memory", well=size_bytes >= STACK_BYTES, found=found, remedy=remedy, otherwise="note")


def cgroup_limit(total_bytes: int, path: Path = CGROUP_LIMIT) -> int:
    """The limit of the container that this runs in; all there is where there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max", or another kernel
        return total_bytes


def disk(free_bytes: int, folder: Path) -> Finding:
    """What `koboshi up` asks for."""
    found = f"{free_bytes / GIB:.1f} GiB are free under {folder}"
    remedy = f"make room for {FREE_DISK_BYTES / GIB:.0f} GiB, or set KOBOSHI_STATE_DIR to another disk"
    return judged("disk", well=free_bytes >= FREE_DISK_BYTES, found=found, remedy=remedy)


def needed_tools(found: Mapping[str, str | None]) -> Iterator[Finding]:
    """Those without which verbs fail."""
    for name, why in NEEDED.items():
        path = found[name]
        yield judged(name, well=path is not None, found=path or "not installed", remedy=f"install {name}: {why}")


def tools_of_tests(found: Mapping[str, str | None]) -> Finding:
    """Those without which some tests are skipped."""
    absent = [name for name in OF_TESTS if found[name] is None]
    said = f"no {', '.join(absent)}" if absent else f"{len(OF_TESTS)} are installed"
    remedy = "tests that need one are skipped; `make tools` installs them on Debian"
    return judged("tools of tests", well=not absent, found=said, remedy=remedy, otherwise="note")


def where(name: str) -> str | None:
    """The path of a program."""
    return shutil.which(name) or next(map(str, DEBIAN_POSTGRESQL.glob(f"*/bin/{name}")), None)
