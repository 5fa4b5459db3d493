"""Kill this process at one of the moments before and after each statement of the ledger."""

import os
import signal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import default


def watch(kill_at: int = 0) -> list[str]:
    """The moments that pass from now on, in words; the `kill_at`-th (1 is the first) is the process's last."""
    moments: list[str] = []

    def pass_moment(when: str, statement: str) -> None:
        moments.append(f"{when} {' '.join(statement.split())[:60]}")
        if len(moments) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        pass_moment("before", statement)

    def after(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        pass_moment("after", statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    sa.event.listen(sa.Engine, "after_cursor_execute", after)
    for name, statement in (("do_commit", "COMMIT"), ("do_rollback", "ROLLBACK")):
        setattr(default.DefaultDialect, name, _around(getattr(default.DefaultDialect, name), pass_moment, statement))
    return moments


def _around(method: Any, pass_moment: Any, statement: str) -> Any:
    def call(dialect: Any, connection: Any) -> None:
        pass_moment("before", statement)
        method(dialect, connection)
        pass_moment("after", statement)

    return call
