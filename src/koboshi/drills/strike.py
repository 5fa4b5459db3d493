"""The proof that a fault was sent, once, and took."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Strike:
    """One fault: what was done (`fault`) to what (`target`), when, and whether it was seen to have taken.

    `at_s` is the wall clock (seconds since 1970), `at_monotonic` the machine's monotonic clock. `took` is seen by other
    means than those that sent it: the process is gone or stopped, the proxy has swallowed bytes, the digest differs.
    """

    fault: str
    target: str
    at_s: float
    at_monotonic: float
    took: bool
    pid: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        struck = f"{self.fault} to {self.target}" + (f" (pid {self.pid})" if self.pid else "")
        return f"{struck}, {self.detail}" if self.detail else struck
