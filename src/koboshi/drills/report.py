"""What a drill leaves behind: a JSON journal for machines, a table for people."""

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from koboshi.drills.drill import Drill, Outcome
from koboshi.errors import BadInput
from koboshi.files import publish_bytes

FORMAT_VERSION = 1
COLOURS = {"proved": "green", "refuted": "red", "unknown": "yellow"}


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One run of a drill. `at_s` is when it began (seconds since 1970), `took_s` how long it took."""

    drill: str
    claim: str
    fault: str
    at_s: float
    took_s: float
    outcome: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """proved, refuted or unknown."""
        return str(self.outcome["verdict"])

    @property
    def reasons(self) -> list[str]:
        """Why it is not proved."""
        return [finding["said"] for finding in self.outcome["findings"] if not finding["holds"]]

    def as_json(self) -> dict[str, Any]:
        """The durable format."""
        return {"format": FORMAT_VERSION, **dataclasses.asdict(self)}


def make_report(drill: Drill[Any], outcome: Outcome, at_s: float) -> Report:
    """The report of a drill that has just ended."""
    return Report(drill.name, drill.claim, drill.fault, at_s, time.time() - at_s, outcome.as_json())


def save(folder: Path, report: Report) -> Path:
    """Write the journal `<folder>/<drill>/<time>.json`."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(report.at_s)) + f"-{int(report.at_s % 1 * 1000):03d}"
    path = folder / report.drill / f"{stamp}.json"
    return publish_bytes(path, json.dumps(report.as_json(), indent=1).encode() + b"\n").path


def saved(folder: Path, drill: str | None = None) -> Iterator[Report]:
    """The reports of one drill, or of all, oldest first."""
    for path in sorted(folder.glob(f"{drill or '*'}/*T*.json"), key=lambda path: path.name):
        fields = json.loads(path.read_text())
        if (found := fields.pop("format", None)) != FORMAT_VERSION:
            raise BadInput(f"{path} has format {found}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
        yield Report(**fields)


def as_table(report: Report) -> Table:
    """Claim, fault, times, what was found, verdict."""
    table = Table(title=f"drill {report.drill}", show_header=False, title_justify="left", pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("claim", report.claim)
    table.add_row("fault", report.fault + (_struck(report.outcome["strike"]) if report.outcome["strike"] else ""))
    for name, value in report.outcome["measures"].items():
        table.add_row(_words(name), f"{value:.2f} s" if name.endswith("_s") else f"{value:g}")
    for finding in report.outcome["findings"]:
        table.add_row(_words(finding["check"]), f"{'✓' if finding['holds'] else '✗'} {finding['said']}")
    colour = COLOURS[report.verdict]
    table.add_row("verdict", f"[{colour} bold]{report.verdict}[/] in {report.took_s:.0f} s")
    return table


def _struck(strike: Mapping[str, Any]) -> str:
    return f": pid {strike['pid']}, {strike['doing']}, {strike['cpu_s']:.2f} s of work into it"


def _words(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ")
