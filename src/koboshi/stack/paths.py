"""Where the stack keeps what: durable state in the state folder, sockets in a short runtime folder."""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from koboshi.errors import NotConfigured
from koboshi.files import make_state_folder, naming_disk_failures, publish_bytes, user_name

SOCKET_PATH_LIMIT = 107
# Ray's longest socket: its folder, session_2026-11-24_05-36-00_123456_1234567, sockets/plasma_store.1 or raylet.12.
LONGEST_SOCKET = len("/ray/session_2026-11-24_05-36-00_123456_1234567/sockets/plasma_store.12")
FREE_DISK_BYTES = 3 * 1024**3


@dataclasses.dataclass(frozen=True, slots=True)
class StackPaths:
    """The stack's folders; `runtime` is short, belongs to this user alone, and goes with `koboshi down`."""

    project: Path
    state_dir: Path
    runtime: Path

    @property
    def own(self) -> Path:
        """The stack's own records."""
        return self.state_dir / "stack"

    @property
    def logs(self) -> Path:
        """One log file for each part."""
        return self.state_dir / "logs"

    @property
    def cache(self) -> Path:
        """What can be fetched again."""
        return self.state_dir / "cache"

    @property
    def restoring(self) -> Path:
        """What a restore has unpacked and not put into place yet."""
        return self.state_dir / ".restore"

    @property
    def endpoints(self) -> Path:
        """The addresses of the started parts, for `koboshi.settings`."""
        return self.state_dir / "endpoints.json"

    @property
    def control_socket(self) -> Path:
        """The supervisor listens here."""
        return self.runtime / "supervisor.sock"

    @property
    def stack_id(self) -> str:
        """The tag that every process of this stack has in its environment."""
        return self.runtime.name


def runtime_root() -> Path:
    """The folder of all runtime folders of this user."""
    return Path(tempfile.gettempdir()).resolve() / f"koboshi-{os.getuid()}"


def find_paths(project: Path, state_dir: Path) -> StackPaths:
    """The paths of a state folder. The runtime folder is remembered, so that a changed TMPDIR does not lose it."""
    remembered = state_dir / "stack" / "runtime.json"
    if remembered.is_file():
        return StackPaths(project, state_dir, Path(json.loads(remembered.read_text())["runtime"]))
    name = hashlib.sha256(str(state_dir).encode()).hexdigest()[:8]
    return StackPaths(project, state_dir, runtime_root() / name)


def prepare_paths(paths: StackPaths) -> None:
    """Check what can be checked before anything is started, then make the folders. Raises `NotConfigured`."""
    check_socket_length(paths.runtime)
    if paths.restoring.exists():
        raise NotConfigured("a restore was interrupted here: run `koboshi restore FILE` again, it finishes it.")
    make_own(paths)
    check_free_disk(shutil.disk_usage(paths.own).free, paths.state_dir)
    publish_bytes(paths.own / "runtime.json", json.dumps({"runtime": str(paths.runtime)}).encode())
    paths.logs.mkdir(parents=True, exist_ok=True)
    _make_private(paths.runtime.parent)
    _make_private(paths.runtime)
    (paths.runtime / "state_dir").write_text(str(paths.state_dir))
    (paths.runtime / "project").write_text(str(paths.project))


def state_dir_of_stack(project: Path) -> Path | None:
    """The state folder of the stack that this user has started in a project; None when it is not known which one."""
    claims = [path for path in runtime_root().glob("*/project") if path.read_text() == str(project)]
    found = {Path(path.with_name("state_dir").read_text()) for path in claims}
    living = [state_dir for state_dir in found if state_dir.is_dir()]
    return living[0] if len(living) == 1 else None


def make_own(paths: StackPaths) -> None:
    """The state folder, and in it the folder of the stack's own records, which are for this user alone."""
    with naming_disk_failures(paths.state_dir):
        make_state_folder(paths.state_dir)
        paths.own.mkdir(exist_ok=True, mode=0o700)


def check_socket_length(runtime: Path) -> None:
    """Unix sockets take 107 bytes of path, Ray's need most of them."""
    length = len(os.fsencode(runtime)) + LONGEST_SOCKET
    if length > SOCKET_PATH_LIMIT:
        raise NotConfigured(
            f"the temporary folder {runtime.parent.parent} is too long a path for Unix sockets ({length} bytes of "
            f"{SOCKET_PATH_LIMIT}): set TMPDIR to a shorter one, such as /tmp."
        )


def check_free_disk(free_bytes: int, folder: Path) -> None:
    """A broker that runs out of disk stops in the middle of a write: better not to start."""
    if free_bytes < FREE_DISK_BYTES:
        raise NotConfigured(
            f"only {free_bytes / 1024**3:.1f} GB are free under {folder}, the stack needs "
            f"{FREE_DISK_BYTES / 1024**3:.0f} GB: make room, or set KOBOSHI_STATE_DIR to another disk."
        )


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder.stat().st_uid
    if owner != os.getuid():
        raise NotConfigured(
            f"{folder} belongs to user {user_name(owner)}: stop that user's stack if one runs here (`koboshi down` as "
            "that user), or set TMPDIR to a folder of your own."
        )
    folder.chmod(0o700)


def remove_runtime(paths: StackPaths) -> None:
    """Remove the runtime folder, and the folder above it with the last of its kind."""
    shutil.rmtree(paths.runtime, ignore_errors=True)
    (paths.own / "runtime.json").unlink(missing_ok=True)
    root = paths.runtime.parent
    if root.is_dir() and not any(entry.is_dir() for entry in root.iterdir()):
        shutil.rmtree(root, ignore_errors=True)
