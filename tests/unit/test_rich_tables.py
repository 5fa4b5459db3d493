"""No number is ever cut: every table that a verb prints, in a pipe, and on terminals down to a few columns."""

import ast
import dataclasses
import io
import re
import sys
from collections import Counter
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from koboshi import rich_tables
from koboshi.cli.ingest_verbs import partitions_table
from koboshi.cli.topic_verbs import topics_table
from koboshi.drills.drill import DrillOutcome, Evidence, Finding, Injection
from koboshi.drills.report import Report, as_table
from koboshi.drills.run import overview
from koboshi.ingest.audit import PartitionVerdict
from koboshi.ingest.kafka_topics import Topic
from koboshi.ingest.source import PartitionStatus
from koboshi.project.running import steps_table
from koboshi.rich_tables import fitted, shared
from koboshi.stack import doctor as stack_doctor
from koboshi.stack.part_state import HEALTHY, PartState
from koboshi.stack.rich_table import Progress, doctor_table, status_table
from koboshi.training.driver.status import WorkerStatus
from koboshi.training.on_ray import actor_name
from koboshi.training.progress.overview import LoggedEvent, Overview, UnitLine
from koboshi.training.progress.rich_overview import history, picture

SOURCES = Path(rich_tables.__file__).parent
BIG = 1_234_567_890
PATH = "/a/rather/long/path/to/a/file/that/is/named/0000012345-0000067890-0123456789abcdef.parquet"


def ingest_status() -> RenderableType:
    numbers = {field.name: BIG + n for n, field in enumerate(dataclasses.fields(PartitionStatus)) if n > 1}
    rows = [PartitionStatus(**{"topic": "fraud-reports", "partition": n, **numbers}) for n in range(3)]
    return fitted(partitions_table([dataclasses.asdict(row) for row in rows]))


def ingest_audit() -> RenderableType:
    verdicts = [
        PartitionVerdict("fraud-reports", 0, "equal", BIG),
        PartitionVerdict("fraud-reports", 1, "different", BIG, "the broker holds [something] else", BIG + 1),
        PartitionVerdict("fraud-reports", 2, "broken", BIG, f"{PATH} is not as it was landed"),
    ]
    return fitted(partitions_table([dataclasses.asdict(verdict) for verdict in verdicts]))


def stack_status() -> RenderableType:
    state = PartState("ray-worker-12", HEALTHY, PATH, "127.0.0.1:27000", (4_194_301, 4_194_302), 1_234, 65_432)
    return status_table([state, dataclasses.replace(state, detail="[/no] markup: 12,345,678 steps")])


def drill_reports() -> list[Report]:
    injection = Injection(
        "SIGKILL", "forest, step 1234567", 1_795_500_000.5, 99.5, True, 4_194_303, "1,234.25 s into it"
    )
    findings = [Finding("finished", True, f"[/x] 1,234,567 records are in {PATH}")]
    measures = {"detected_after_s": 1_234_567.25, "recovered_after_s": 7_654_321.5, "lost": BIG, "doubled": BIG + 1}
    outcome = DrillOutcome("proved", findings, [injection], Evidence(measures, [], []))
    told = ("training", 1_795_500_000.0, 123_456.0, outcome, {}, {})
    return [Report("network-cut-training", "A trainer resumes.", "SIGKILL", *told)]


def drill_report() -> RenderableType:
    return as_table(drill_reports()[0])


def drill_overview() -> RenderableType:
    return overview(drill_reports(), drill_reports(), "7,654,321 of them")  # type: ignore[arg-type]


def training() -> Overview:
    job, name = "0123456789abcdef-1", "unit-of-seed-20260730"
    measured = {"loss": 0.1234, "accuracy": 0.9876, "rows": 1234.0}
    worker = actor_name(job, 12)
    units = [UnitLine(name, 1_234_567, 7_654_321, "at work", worker, 12, 345, measured, "")]
    at = ("R", "first_byte", 1_234_567.8, 1_234.5, 12.5)
    workers = [WorkerStatus(worker, 4_194_303, "10.123.45.67", *at, unit=name, step=1_234_568)]
    told = [LoggedEvent(1, 1_795_500_000.0, "1,234,567 steps of a-unit were done again")]
    times = (1_795_500_000.0, None, 123)
    return Overview("0" * 64, job, "running", "", *times, units, workers, 0, 1_234.0, told, 1_795_600_000.0)


def stack_start() -> RenderableType:
    state = PartState("ray-worker-12", HEALTHY, PATH, "127.0.0.1:27000")
    return Progress(rich_tables.console())._progress_table([state, dataclasses.replace(state, detail="[/no] 12,345")])


def doctor() -> RenderableType:
    findings = [
        stack_doctor.Finding("free memory", "note", "12,345.6 GiB are free", "end 123 programs before `koboshi up`"),
        stack_doctor.Finding("secrets", "wrong", f"[/others] may read {PATH}", f"chmod 600 {PATH}"),
    ]
    return doctor_table(findings)


def topics() -> RenderableType:
    topic = Topic("fraud-reports", 12_345, 3, BIG, 604_800_000)
    return fitted(topics_table([topic, dataclasses.replace(topic, name="other", retention_ms=-1)], [topic.name]))


def steps_of_a_run() -> RenderableType:
    return fitted(steps_table([("ingest", f"[/x] 1,234,567 records are in {PATH}", 1_234.5)]))


TABLES: list[Callable[[], RenderableType]] = [
    ingest_status,
    ingest_audit,
    stack_status,
    stack_start,
    doctor,
    topics,
    steps_of_a_run,
    drill_report,
    drill_overview,
    lambda: picture(training()),
    lambda: history([training(), training()]),
]


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d[\d,.]*", text))


def drawn(what: RenderableType, width: int, *, terminal: bool) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=terminal, color_system=None)
    console.print(what, highlight=False)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("width", [200, 120, 80, 60, 40, 25])
def test_every_number_of_every_table_is_whole_on_a_terminal_of_any_width(
    table: Callable[[], RenderableType], width: int
) -> None:
    """As many times as at full width, and nothing beyond the terminal's edge; a long path alone may be broken."""
    whole = drawn(table(), rich_tables.ENDLESS, terminal=False)
    seen = drawn(table(), width, terminal=True)
    assert max(map(len, seen.splitlines())) <= width
    assert Counter(numbers(whole.replace(PATH, ""))) - Counter(numbers(seen)) == Counter()


@pytest.mark.parametrize("table", TABLES)
def test_a_pipe_gets_a_table_at_full_width(
    table: Callable[[], RenderableType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever COLUMNS says: a row is a line, and no line is padded to a width that nobody asked for."""
    monkeypatch.setenv("COLUMNS", "80")
    rich_tables.console().print(table(), highlight=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        line.rstrip() for line in drawn(table(), rich_tables.ENDLESS, terminal=False).splitlines()
    ]
    assert max(map(len, lines)) < 1_000


def test_words_wrap_before_columns_stand_below_one_another() -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for header in ("part", "records", "detail"):
        table.add_column(header, overflow="fold")
    table.add_row("kafka", "1,234,567", "it waits for a broker that does not answer")
    assert drawn(fitted(table), 34, terminal=True).split()[3:9] == ["kafka", "1,234,567", "it", "waits", "for", "a"]
    assert drawn(fitted(table), 20, terminal=True).splitlines()[:2] == ["kafka", "  records  1,234,567"]


def test_a_cell_of_text_is_no_markup() -> None:
    table = Table("a", "b")
    table.add_row(Text("[/red] 12"), Text("[bold]34"))
    for width in (80, 8):
        assert {"12", "34"} <= set(numbers(drawn(fitted(table), width, terminal=True)))


widths = st.tuples(st.integers(0, 30), st.integers(0, 60)).map(lambda pair: Measurement(pair[0], sum(pair)))


@given(st.lists(widths, max_size=8), st.integers(0, 100))
def test_room_is_shared_so_that_no_column_is_narrower_than_its_longest_word(
    wanted: list[Measurement], spare: int
) -> None:
    room = sum(width.minimum for width in wanted) + spare
    given_widths = shared(wanted, room)
    assert sum(given_widths) == min(room, sum(width.maximum for width in wanted))
    assert all(w.minimum <= given <= w.maximum for w, given in zip(wanted, given_widths, strict=True))


def makers_of_tables() -> set[str]:
    """The functions that make a table of rich's."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        text = path.read_text()
        if "from rich.table import" in text:
            functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
            found |= {node.name for node in functions if re.search(r"\bTable\(", ast.unparse(node))}
    return found


def test_every_table_that_there_is_is_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one joins `TABLES`: so it fits into 80 columns, and into fewer."""
    made = set[str]()
    monkeypatch.setattr(Table, "__init__", partialmethod(_noting, made, Table.__init__))
    for table in TABLES:
        drawn(table(), 80, terminal=True)
    assert makers_of_tables() <= made


def _noting(table: Table, made: set[str], begin: Callable[..., None], *headers: object, **options: object) -> None:
    made.add(sys._getframe(1).f_code.co_name)
    begin(table, *headers, **options)


def test_without_colour_a_table_is_as_wide_and_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR, as https://no-color.org says: set to anything but nothing."""

    def codes() -> set[str]:
        shown = io.StringIO()
        monkeypatch.setattr(sys, "stdout", shown)
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
        rich_tables.console().print(stack_status())
        return {code for found in re.findall(r"\x1b\[([\d;]*)m", shown.getvalue()) for code in found.split(";")}

    assert "32" in codes()
    monkeypatch.setenv("NO_COLOR", "1")
    assert codes() <= {"", "0", "1", "2", "3"}


def test_no_other_module_makes_a_console_of_its_own() -> None:
    """A table printed anywhere else could be cut again."""
    made = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Console"
    }
    assert made == {"rich_tables.py"}
