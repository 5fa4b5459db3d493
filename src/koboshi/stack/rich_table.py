"""The stack on a terminal: a live table while it starts, plain lines where there is no terminal."""

import time
from collections.abc import Mapping, Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from koboshi.events import Event
from koboshi.rich_tables import fitted
from koboshi.stack.doctor import Finding
from koboshi.stack.part_state import GAVE_UP, HEALTHY, STARTING, STOPPED, UNHEALTHY, PartState
from koboshi.stack.probe_records import ago

COLOURS = {HEALTHY: "green", STARTING: "yellow", UNHEALTHY: "red", GAVE_UP: "red"}
VERDICTS = {"ok": "green", "note": "yellow", "wrong": "red"}


class Progress:
    """Shows the parts on their way; a context manager."""

    def __init__(self, console: Console) -> None:
        """Nothing is shown before the first `show`."""
        self._console, self._begun = console, time.monotonic()
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._shown: dict[str, str] = {}

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live:
            self._live.stop()

    def emit(self, event: Event) -> None:
        """A line beside the table."""
        (self._live.console if self._live else self._console).print(f"{self._elapsed():4.0f} s  {event}", markup=False)

    def show(self, states: Sequence[PartState]) -> None:
        """Bring the table up to date, or print a line for each part whose state has changed."""
        if self._live:
            self._live.update(self._progress_table(states))
            return
        for state in states:
            if self._shown.get(state.name) != state.state:
                self._shown[state.name] = state.state
                self._console.print(
                    f"{self._elapsed():4.0f} s  {state.name:22} {state.state:10} {state.detail}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )

    def _progress_table(self, states: Sequence[PartState]) -> RenderableType:
        table = Table(title=f"koboshi up, {self._elapsed():.0f} s", title_justify="left")
        for column in ("part", "state", "what it did, or waits for"):
            table.add_column(column)
        for state in states:
            table.add_row(state.name, coloured(state.state), Text(state.detail))
        return fitted(table)

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun


def coloured(state: str) -> str:
    """A state in its colour."""
    colour = COLOURS.get(state, "dim")
    return f"[{colour}]{state}[/{colour}]"


def status_table(states: Sequence[PartState]) -> RenderableType:
    """`koboshi status`, in 80 columns: how long ago each part was asked, and what it did then."""
    again = any(state.restarts for state in states)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for column in ("part", "state", "asked", "up", *(["restarts"] if again else []), "MB", "pids", "detail"):
        table.add_column(column, overflow="fold" if column == "detail" else "ellipsis")
    before = ""
    for state in states:
        table.add_row(
            state.name,
            coloured(state.state),
            asked_text(state),
            since_text(state.since),
            *([str(state.restarts)] if again else []),
            str(state.memory_mb or ""),
            pids_text(state.pids),
            Text("〃" if state.detail == before else state.detail),
        )
        before = state.detail
    return fitted(table)


def asked_text(state: PartState) -> str:
    """How long ago the part was asked; nothing for one that nobody asks."""
    if state.state in (STOPPED, GAVE_UP):
        return ""
    return "now" if state.probed_at is None else ago(state.probed_at)


def doctor_table(findings: Sequence[Finding]) -> RenderableType:
    """`koboshi doctor`: what was found, and what to do where it is not well."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for column in ("", "check", "found", "what to do"):
        table.add_column(column, overflow="fold" if column in {"found", "what to do"} else "ellipsis")
    for one in findings:
        colour = VERDICTS[one.verdict]
        table.add_row(f"[{colour}]{one.verdict}[/{colour}]", one.check, Text(one.found), Text(one.remedy))
    return fitted(table)


def pids_text(pids: Sequence[int]) -> str:
    """The program's own process, and how many more there are under it."""
    return f"{pids[0]}" + (f" +{len(pids) - 1}" if len(pids) > 1 else "") if pids else ""


def address_line(states: Sequence[PartState], logins: Sequence[Mapping[str, str]]) -> str:
    """The addresses of the parts that no login names."""
    named = {login["url"] for login in logins}
    return "  ".join(f"{state.name} {state.address}" for state in states if state.address not in {"", *named})


def login_lines(logins: Sequence[Mapping[str, str]]) -> str:
    """What to open in a browser, and how to get in."""
    lines = []
    for login in logins:
        secrets = "  ".join(f"{key} {value}" for key, value in login.items() if key not in {"what", "url"})
        lines.append(f"{login['what']:12} {login['url']}  {secrets}".rstrip())
    return "\n".join(lines)


def since_text(since: float | None) -> str:
    """How long ago, for people."""
    if since is None:
        return ""
    minutes, seconds = divmod(int(time.time() - since), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
