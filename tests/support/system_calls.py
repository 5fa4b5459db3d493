"""A forked child under strace: which changes of the disk it makes, and faults in the N-th of them."""

import dataclasses
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.forked import Forked

# All that changes a file or a folder, or makes a change durable; of `openat` only what may make or empty a file.
CHANGES = (
    "write,writev,pwrite64,pwritev,pwritev2,rename,renameat,renameat2,fsync,fdatasync,sync_file_range,ftruncate,"
    "truncate,fallocate,copy_file_range,sendfile,unlink,unlinkat,openat,creat,mkdir,mkdirat,rmdir,link,linkat,symlink"
)
SIGKILL, EIO, ENOSPC = "SIGKILL", "EIO", "ENOSPC"
FAULTS = (SIGKILL, EIO, ENOSPC)
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\(")


class MayNotTrace(Exception):
    """strace is there, and may not attach to a process."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A system call of a trace: the `number`-th of its name, and the paths that it is about, relative to the folder."""

    name: str
    number: int
    paths: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.number} ({' to '.join(self.paths)})"


def traced(child: Forked, strace: str, log: Path, *more: str) -> tuple[int, Any]:
    """Let a child go under strace, and wait for its end."""
    command = [strace, "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={CHANGES}", *more, "-p", str(child.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        child.go()
        end = child.end()
        if "attached" not in said:
            raise MayNotTrace(said.strip())
    return end


def injection(fault: str, call: Call) -> tuple[str, str]:
    """strace's words for a fault in this call. A disk that is full stays full, as far as files are not just opened."""
    if fault == SIGKILL:
        return "-e", f"inject={call.name}:signal=SIGKILL:when={call.number}"
    still = "+" if fault == ENOSPC and call.name != "openat" else ""
    return "-e", f"inject={call.name}:error={fault}:when={call.number}{still}"


def injected(log: Path) -> bool:
    """Whether a call was made to fail."""
    return "(INJECTED)" in log.read_text()


def changes(log: Path, folder: Path) -> list[Call]:
    """The calls of an undisturbed trace that change something below `folder`, each a crash point."""
    seen: Counter[str] = Counter()
    threads: set[str] = set()
    found = []
    for line in log.read_text().splitlines():
        if (matched := _LINE.match(line)) is None:
            continue
        name = matched["call"]
        seen[name] += 1
        # An opened file is there twice: as it was asked for, and as the descriptor that came of it.
        paths = tuple(dict.fromkeys(map(_plain, re.findall(rf"{re.escape(str(folder))}/?([^\">]*)", line))))
        if paths and (name != "openat" or re.search("O_CREAT|O_TRUNC", line)):
            threads.add(matched["thread"])
            found.append(Call(name, seen[name], paths))
    # strace counts each thread's calls apart: "the N-th" would not name one call.
    assert len(threads) <= 1, f"{len(threads)} threads change files"
    return found


def unsafe_under_power_loss(trace: list[Call]) -> list[str]:
    """What a power loss could tear although a kill cannot.

    A file has to be synced between its last write and its renaming, and its folder between the renaming and the next
    write to the ledger.
    """
    return [
        finding
        for index, call in enumerate(trace)
        if call.name.startswith("rename")
        for finding in (_not_synced(trace[:index], call), _name_not_synced(trace[index + 1 :], call))
        if finding
    ]


def _not_synced(before: list[Call], rename: Call) -> str | None:
    last = next((call for call in reversed(before) if rename.paths[0] in call.paths and call.name != "openat"), None)
    safe = last is not None and last.name in ("fsync", "fdatasync")
    return None if safe else f"{rename.paths[-1]} got its name before its bytes were synced"


def _name_not_synced(after: list[Call], rename: Call) -> str | None:
    target = str(Path(rename.paths[-1]).parent)
    for call in after:
        if call.name in ("fsync", "fdatasync") and call.paths == (target,):
            return None
        if call.name.startswith("pwrite") and call.paths[0].endswith("-wal"):
            return f"{rename.paths[-1]} was committed before its name was synced"
    return None


def _plain(path: str) -> str:
    """Paths without what is random in them."""
    return re.sub(r"\.part-[0-9a-f]{32}", ".part-*", path) or "."
