"""Bars: what was asked, what was measured, whether it was met; and the file that keeps the figures."""

import dataclasses
import datetime
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from koboshi.drills.report import machine, versions
from koboshi.files import publish_bytes

RESULTS = Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One line of the table; `met` is None where nothing was measured, which is no pass."""

    what: str
    bar: str
    measured: str
    met: bool | None


def at_most(what: str, limit: float, values: Sequence[float], unit: str = "s") -> Bar:
    """The worst of some values has to stay within a limit."""
    if not values:
        return Bar(what, f"≤ {limit:.3g} {unit}", "nothing", None)
    middle = f"median {statistics.median(values):.3g}, worst " if len(values) > 1 else ""
    return Bar(
        what, f"≤ {limit:.3g} {unit}", f"{middle}{max(values):.3g} {unit} (n={len(values)})", max(values) <= limit
    )


def usually_at_most(what: str, limit: float, values: Sequence[float], unit: str) -> Bar:
    """The median of some values has to stay within a limit: single ones are what a shared machine makes of them."""
    if not values:
        return Bar(what, f"≤ {limit:.3g} {unit}", "nothing", None)
    middle = statistics.median(values)
    spread = f"median {middle:.1f}, from {min(values):.1f} to {max(values):.1f} {unit} (n={len(values)})"
    return Bar(what, f"≤ {limit:.3g} {unit}", spread, middle <= limit)


def times_sooner(what: str, factor: float, ours: Sequence[float], theirs: Sequence[float]) -> Bar:
    """By medians, a peer takes at least `factor` times as long as we do."""
    if not ours or not theirs:
        return Bar(what, f"≥ {factor:g} times", "nothing", None)
    middle = statistics.median(theirs)
    ratio = middle / statistics.median(ours)
    return Bar(what, f"≥ {factor:g} times", f"{ratio:.1f} times ({middle:.3g} s, n={len(theirs)})", ratio >= factor)


def all_of(what: str, held: Sequence[bool]) -> Bar:
    """Something has to hold each time."""
    return Bar(what, "all", f"{sum(held)} of {len(held)}", all(held) if held else None)


def show(title: str, bars: Sequence[Bar]) -> None:
    """The table, on the terminal or in a log."""
    table = Table(title=title)
    for column in ("what", "bar", "measured", "met"):
        table.add_column(column)
    for bar in bars:
        table.add_row(bar.what, bar.bar, bar.measured, {True: "yes", False: "NO", None: "not measured"}[bar.met])
    console = Console()
    (console if console.is_terminal else Console(width=150)).print(table)


def save(name: str, folder: Path, bars: Sequence[Bar], project: Path, **figures: Any) -> Path:
    """Write `<name>.json`: the machine, the versions, the bars and every raw figure."""
    about: Mapping[str, Any] = {
        "benchmark": name,
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": dict(versions(project)),
        "bars": [dataclasses.asdict(bar) for bar in bars],
    }
    return publish_bytes(folder / f"{name}.json", json.dumps({**about, **figures}, indent=1).encode() + b"\n").path


def missed(bars: Sequence[Bar]) -> list[Bar]:
    """Bars that were not met, or not measured."""
    return [bar for bar in bars if not bar.met]
