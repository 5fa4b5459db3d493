"""No verdict, measurement or control flow reads a sentence that was made for people: it reads events and results.

Mechanical as far as it goes: an event's sentence is asked for by sinks and pages alone; and where a text of that kind
(a line, a log, what was said) is searched, compared or cut, the place is listed here with the reason.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOMS = ("src/koboshi/training", "src/koboshi/drills", "benchmarks", "pipelines")
TEXTS = {"heard", "line", "lines", "log", "message", "output", "said", "sentence", "stderr", "stdout", "told", "words"}
SHOWS = {"src/koboshi/training/progress/observer.py", "src/koboshi/training/progress/overview.py"}
FOREIGN = {
    "(str(error).strip() or type(error).__name__).splitlines()[0]": "the gist of Ray's own error, for people",
    "line.startswith('model name')": "the kernel's /proc/cpuinfo",
    "line.partition(':')": "the kernel's /proc/cpuinfo",
    "line.startswith('VmHWM')": "the kernel's /proc/<pid>/status",
    "message.partition()": "a Kafka message's partition, a number",
    "'UnitWorker' in words": "a process's title, which Ray makes of our names",
    "'ray::koboshi-' in words": "a process's title, which Ray makes of our names",
    "'train.py' in words": "a process's command line",
}
SEARCHES = {"startswith", "endswith", "find", "index", "removeprefix", "partition", "rpartition"}
MATCHES = {"search", "match", "fullmatch", "finditer", "findall"}


def reads_of(source: str) -> list[str]:
    """The expressions that search, compare or cut a text."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _reads(node)]


def _reads(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
            return isinstance(left, ast.Constant | ast.JoinedStr) and _is_text(right)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in SEARCHES:
            return _is_text(value)
        case ast.Call(func=ast.Attribute(attr=attr), args=args) if attr in MATCHES:
            return any(map(_is_text, args))
        case ast.Call(func=ast.Name(id="map"), args=[ast.Attribute(attr=attr), *_]):
            return attr in MATCHES
        case ast.Subscript(value=ast.Call(func=ast.Attribute(attr="splitlines"))):
            return True
    return False


def _is_text(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in TEXTS
        case ast.Call(func=ast.Attribute(value=value, attr=name)):
            return name in TEXTS or (name in ("strip", "lower") and _is_text(value))
    return False


def reads_in(rooms: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in (path for room in rooms for path in sorted((PROJECT / room).rglob("*.py"))):
        for expression in reads_of(path.read_text()):
            yield path.relative_to(PROJECT).as_posix(), expression


def test_whoever_searches_a_text_is_listed_with_the_reason() -> None:
    found = [(path, read) for path, read in reads_in(ROOMS) if path not in SHOWS]
    new = [f"{path}: {read}" for path, read in found if read not in FOREIGN]
    assert not new, "read an event or a typed result instead; a text that is not ours joins FOREIGN, with its reason"


def test_what_is_listed_is_still_there() -> None:
    assert not set(FOREIGN).difference(read for _, read in reads_in(ROOMS))


def test_an_events_sentence_is_asked_for_by_sinks_and_pages_alone() -> None:
    """Others have sentences of their own; an event's is asked for by this name."""
    asking = re.compile(r"\bevent\.(sentence|says)\b|str\(event\)")
    files = (path for room in ROOMS for path in (PROJECT / room).rglob("*.py"))
    found = {path.relative_to(PROJECT).as_posix() for path in files if asking.search(path.read_text())}
    assert found <= SHOWS


@pytest.mark.parametrize(
    "source",
    [
        "'is refused' in line",
        "f'version {n} is refused' not in run.log()",
        "any('step ' in line for line in heard)",
        "said.startswith('broken')",
        "line.strip().endswith('.')",
        "re.search('x', output)",
        "STEP.match(line)",
        "list(map(STEP.match, lines))",
        "done.stdout.splitlines()[-1]",
    ],
)
def test_such_reads_are_seen(source: str) -> None:
    assert len(reads_of(source)) == 1


@pytest.mark.parametrize(
    "source", ["'x' in names", "path.startswith('/')", "for line in lines: show(line)", "a in said"]
)
def test_others_are_none(source: str) -> None:
    assert reads_of(source) == []
