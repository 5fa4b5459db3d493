"""A training on a terminal of 80 columns: its units, its workers, what came up last; and the list of all trainings."""

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from koboshi.rich_tables import fitted
from koboshi.training.on_ray import actor_name
from koboshi.training.progress.overview import Overview, UnitLine

COLOURS = {
    "complete": "green",
    "done": "green",
    "running": "cyan",
    "at work": "cyan",
    "starting": "yellow",
    "recovering": "yellow",
    "partial": "red",
    "failed": "red",
    "broken off": "red",
    "quarantined": "red",
}
STATES = {"R": "runs", "S": "sleeps", "D": "disk", "T": "stopped", "Z": "gone", "X": "gone", "": "not heard"}
FIRST = ("quarantined", "recovering", "at work", "held", "waiting", "unfinished", "done")
STALE_S = 3.0  # a driver writes each second


def picture(seen: Overview, units: int = 20, told: int = 8) -> RenderableType:
    """One picture: at most so many units and sentences."""
    parts: list[RenderableType] = [heading(seen), _units(seen, units)]
    if seen.workers or seen.starting:
        parts += ["", _workers(seen)]
    if seen.told and told:
        parts += ["", _told(seen, told)]
    return Group(*parts)


def heading(seen: Overview) -> Text:
    """Three lines: how it stands, when it began, and what was done."""
    is_stale = seen.shown_s is not None and seen.shown_s > STALE_S
    return Text.assemble(
        "training ",
        (seen.name, "bold"),
        "  ",
        (seen.outcome, COLOURS[seen.outcome]),
        f" {'after' if seen.ended else 'for'} {lasted((seen.ended_at or seen.now) - seen.began_at)}",
        (f"  (its driver was heard {seen.shown_s:.0f} s ago)" if is_stale else "", "yellow"),
        f"\nbegan {began(seen)}\n{counted(seen)}\n",
        (f"{seen.said}\n" if seen.said else "", "dim"),
    )


def named(seen: Overview) -> str:
    """Which training it is, when it began, and how it stands: one line."""
    return f"training {seen.name}, began {began(seen)}, is {seen.outcome}"


def began(seen: Overview) -> str:
    """When a training began, on this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seen.began_at))


def counted(seen: Overview) -> str:
    """What was done, in one line."""
    total = f" of {seen.steps:,}" if seen.steps is not None else ""
    quarantined, risk = seen.in_place("quarantined"), sum(unit.at_risk for unit in seen.units)
    told = [
        f"{seen.steps_done:,}{total} steps committed",
        f"{seen.in_place('done'):,} of {len(seen.units):,} units done",
        *([f"{quarantined:,} quarantined"] if quarantined else []),
        f"{seen.recoveries:,} {'recovery' if seen.recoveries == 1 else 'recoveries'}",
        *([f"{risk:,} steps in memory alone"] if risk else []),
    ]
    return ", ".join(told)


def lasted(seconds: float) -> str:
    """A span of time."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes / 60:.1f} h"


def shown_units(units: Sequence[UnitLine], most: int) -> list[UnitLine]:
    """Those that need a look first, then those at work; in the order that they had."""
    if len(units) <= most:
        return list(units)
    names = {unit.name for unit in sorted(units, key=lambda unit: FIRST.index(unit.place))[:most]}
    return [unit for unit in units if unit.name in names]


def metrics_text(unit: UnitLine) -> str:
    """The metrics of its newest committed step, or why it was quarantined."""
    return unit.reason or " ".join(f"{name} {value:.4g}" for name, value in unit.metrics.items())


def history(seen: Sequence[Overview]) -> RenderableType:
    """One row for each training, as they come."""
    table = _table("job", "began", "took", ("tries", True), ("units", True), ("steps", True), ("rec.", True), "how")
    for one in seen:
        quarantined = one.in_place("quarantined")
        table.add_row(
            one.name,
            time.strftime("%m-%d %H:%M", time.localtime(one.began_at)),
            lasted((one.ended_at or one.now) - one.began_at),
            f"{one.attempts}",
            f"{one.in_place('done')}/{len(one.units)}" + (f" -{quarantined}" if quarantined else ""),
            f"{one.steps_done:,}" + (f"/{one.steps:,}" if one.steps not in (None, one.steps_done) else ""),
            f"{one.recoveries}",
            Text(one.outcome, COLOURS[one.outcome]),
        )
    return fitted(table)


def short(worker: str, job: str) -> str:
    """A worker's number within its job: the rest of its name is the same for all."""
    own = actor_name(job, 0)[:-1]
    return f"worker {worker.removeprefix(own)}" if worker.startswith(own) else worker


def _units(seen: Overview, most: int) -> RenderableType:
    table = _table("unit", ("steps", True), "is", ("rec.", True), "newest metrics")
    shown = shown_units(seen.units, most)
    for unit in shown:
        steps = f"{unit.done}/{'?' if unit.total is None else unit.total}"
        risk = f" +{unit.at_risk}" if unit.at_risk else ""
        table.add_row(
            Text(unit.name),
            steps + risk,
            _place(unit, seen.job),
            f"{unit.recoveries or ''}",
            Text(metrics_text(unit)),
        )
    if hidden := len(seen.units) - len(shown):
        table.add_row(f"and {hidden:,} more")
    return fitted(table)


def _place(unit: UnitLine, job: str) -> Text:
    text = Text(unit.place, COLOURS.get(unit.place, "dim"))
    return text.append(f", {short(unit.worker, job)}") if unit.worker else text


def _workers(seen: Overview) -> RenderableType:
    table = _table("worker", "node", ("pid", True), "state", "at", ("cpu", True), ("beat", True), ("φ", True))
    for worker in seen.workers:
        at = f"{worker.unit} {worker.step}" if worker.unit else "warm spare"
        phase = f", {worker.phase}" if worker.unit and worker.phase not in ("", "step") else ""
        table.add_row(
            short(worker.name, seen.job),
            worker.node,
            f"{worker.pid}",
            STATES.get(worker.state, worker.state),
            at + phase,
            f"{worker.cpu_s:,.1f} s",
            "" if worker.silence_s is None else f"{worker.silence_s:.1f} s",
            f"{worker.phi:.1f}",
        )
    if seen.starting:
        table.add_row(Text(f"{seen.starting} starting", "dim"))
    return fitted(table)


def _told(seen: Overview, most: int) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for told in seen.told[-most:]:
        table.add_row(time.strftime("%H:%M:%S", time.localtime(told.at)), Text(brief(told.sentence, seen.job)))
    return fitted(table)


def brief(sentence: str, job: str) -> str:
    """A sentence with the workers' short names."""
    return sentence.replace(actor_name(job, 0)[:-1], "worker ") if job else sentence


def _table(*columns: str | tuple[str, bool]) -> Table:
    """Without a frame, so that it fits into 80 columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        title, right = column if isinstance(column, tuple) else (column, False)
        table.add_column(title, justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table
