"""The errors of koboshi, one tree.

    KoboshiError (65)
    ├── Transient (75)          the same call may succeed later: retry
    │   ├── Unavailable         a remote part does not answer
    │   ├── LeaseTaken          somebody else holds the lease just now
    │   └── DiskFailed          a disk is full, or does not take what is written
    └── Permanent (65)          the same call fails again: stop, and tell a person
        ├── Corrupt             bytes are not those that were recorded
        ├── Fenced              a newer holder of the lease exists; this process must not commit
        ├── Conflict            the ledger already says something else
        ├── BadInput            what the user gave does not fit
        └── NotConfigured       a setting is missing or wrong

The exit codes are those of sysexits.h: 75 is EX_TEMPFAIL, 65 is EX_DATAERR. A message is one sentence that says what
to do next. Every error survives pickling, so that it may cross from a worker to its driver.

An exception that is none of these was not foreseen, and ends a command with 65 as well: the same call most likely
raises it again, and retries would only hide it. Its trace is kept (`koboshi.exits`). Those that the system itself
raises when a connection breaks, a time limit passes or a disk is full are taken for Transient.
"""


class KoboshiError(Exception):
    """Anything koboshi raises on purpose; `exit_code` is what a command ends with."""

    exit_code = 65


class Transient(KoboshiError):
    """Worth another try later."""

    exit_code = 75


class Permanent(KoboshiError):
    """Not worth another try."""

    exit_code = 65


class Unavailable(Transient):
    """A remote part does not answer in time."""


class LeaseTaken(Transient):
    """The lease is held, and not yet expired."""


class DiskFailed(Transient):
    """A disk is full, or fails: what was under way has not happened, and can be done again once there is room."""


class Corrupt(Permanent):
    """Bytes differ from the digest that was recorded for them."""


class Fenced(Permanent):
    """A newer fencing token exists: whatever this process has in hand may not be committed."""


class Conflict(Permanent):
    """The ledger already holds a different decision."""


class BadInput(Permanent):
    """A file, an argument or a parameter that koboshi cannot take."""


class NotConfigured(Permanent):
    """A setting is missing or does not fit."""


class Rejected(Permanent):
    """Raised by a stage that finds its input not good enough; what it has written is published all the same."""
