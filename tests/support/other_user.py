"""Work done as another user: in a fork, because that user may not be allowed to start this interpreter."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.forked import answer_of

OTHER = "nobody"


def as_other_user(work: Callable[[], Any]) -> Any:
    """What `work` returns (JSON values), called by a user who is not root."""

    def dropped() -> Any:
        os.setgroups([])
        os.setgid(pwd.getpwnam(OTHER).pw_gid)
        os.setuid(pwd.getpwnam(OTHER).pw_uid)
        return work()

    return answer_of(dropped)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="koboshi-users-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
