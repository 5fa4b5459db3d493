"""Where the events of a training go, beside its journal, and those of a release. A sink is one module here.

The module has `open_sink()`: it returns a `Sink`, or None where nobody wants it (no address is set, say). The driver
calls a sink and waits for it, now and then from a second thread: so it has to be quick, and to raise only what has to
end the run. Under a crash of the driver the journal has all events; what another sink had not passed on is lost there.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from koboshi.events import Sink, to_all


def open_sinks() -> Sink:
    """All sinks that are wanted, as one."""
    return to_all(*_opened())


def _opened() -> Iterator[Sink]:
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        sink: Sink | None = importlib.import_module(f"{__name__}.{module.name}").open_sink()
        if sink is not None:
            yield sink
