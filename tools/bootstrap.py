"""Make the environment of this clone: `python3 tools/bootstrap.py VENV`. Standard library only, for a bare machine.

`--locked-only` leaves out koboshi itself: an image has that in a layer of its own, since it changes more often.

Everything is checked before anything is written. What is installed comes from requirements.lock, by SHA-256. It is done
again only when the lock, pyproject.toml, the interpreter or the clone's place has changed.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 13)
FREE_BYTES = 6 * 1024**3
LONGEST_TEMPORARY_FOLDER = 20  # bytes; what Ray's sockets leave of the 107 that a Unix socket's path may have
NO_INDEX = (
    "a package cannot be fetched: check the network, or name your mirror in pip's settings "
    "(pip config set global.index-url …) or in UV_DEFAULT_INDEX."
)


def main() -> None:
    """Check, then install, then leave the stamp."""
    venv = ROOT / sys.argv[1]
    if sys.argv[2:] == ["--locked-only"]:
        check()
        make(venv, locked_only=True)
        return
    stamp, wanted = venv / "koboshi.stamp", fingerprint()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    check()
    say(f"setting up {venv.name} with Python {sys.version.split()[0]}")
    if stamp.is_file():
        stamp.unlink()
    make(venv)
    stamp.write_text(wanted)


def fingerprint() -> str:
    """What the environment depends on."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for name in ("requirements.lock", "pyproject.toml", "tools/uv.lock"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def check() -> None:
    """Everything that could stop an installation in the middle, each with what to do about it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        stop(f"Python {version} is not supported: name one from 3.11 to 3.13, as in `make setup PYTHON=python3.13`.")
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        stop("this Python has no venv module: install it, on Debian with `apt-get install python3-venv`.")
    if shutil.which("git") is None:
        stop("git is not installed: install it, on Debian with `apt-get install git`.")
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES:
        stop(f"only {free / 1024**3:.1f} GB are free under {ROOT}, {FREE_BYTES // 1024**3} GB are needed: make room.")
    temporary = Path(tempfile.gettempdir()).resolve()
    if len(os.fsencode(temporary)) > LONGEST_TEMPORARY_FOLDER:
        stop(f"{temporary} is too long a path for Unix sockets: set TMPDIR to a shorter one, such as /tmp.")


def make(venv: Path, *, locked_only: bool = False) -> None:
    """First uv, through pip; then everything else through uv, in parallel and compiled."""
    run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)], "no virtual environment can be made.")
    uv, python = ensure_uv(), venv / "bin" / "python"
    environment = {**os.environ, **index_settings(), "UV_CACHE_DIR": str(ROOT / ".koboshi" / "cache" / "uv")}
    say("installing what requirements.lock names")
    into = ["--quiet", "--python", str(python)]
    locked = ["--require-hashes", "--compile-bytecode", str(ROOT / "requirements.lock")]
    run([str(uv), "pip", "sync", *into, *locked], NO_INDEX, environment)
    if locked_only:
        return
    own = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run([str(uv), "pip", "install", *into, *own], "koboshi itself cannot be installed.", environment)
    run([str(python), str(ROOT / "tools" / "plots_page.py")], "the page of `dvc plots show` cannot be made.")


def ensure_uv() -> Path:
    """The locked uv, in an environment of its own."""
    folder = ROOT / ".koboshi" / "cache" / f"uv-{sys.version_info[0]}.{sys.version_info[1]}"
    uv = folder / "bin" / "uv"
    if uv.exists() and runs(uv):
        return uv
    say("fetching uv, which installs the rest")
    run([sys.executable, "-m", "venv", "--clear", str(folder)], "no virtual environment can be made.")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-cache-dir", "--require-hashes", "-r", str(ROOT / "tools" / "uv.lock")], NO_INDEX)
    return uv


def runs(uv: Path) -> bool:
    """Whether what is there was installed to its end."""
    return subprocess.run([uv, "--version"], stdout=subprocess.DEVNULL, check=False).returncode == 0


def index_settings() -> "dict[str, str]":
    """Pip's settings for uv, which does not read them by itself; uv's own come first."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
    }
    pip = ROOT / ".koboshi" / "cache" / f"uv-{sys.version_info[0]}.{sys.version_info[1]}" / "bin" / "pip"
    listed = subprocess.run([pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    found = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name = names.get(key.rpartition(".")[2])
        if name and name not in os.environ:
            found[name] = " ".join(value.strip().strip("'\"").replace("\\n", " ").split())
    return found


def run(command: "list[str]", otherwise: str, environment: "dict[str, str] | None" = None) -> None:
    """Run a command; when it fails, say in one sentence what that means, after the tool's own words."""
    if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        stop(otherwise)


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def stop(sentence: str) -> None:
    """End with one sentence."""
    sys.stderr.write(f"setup: {sentence}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
