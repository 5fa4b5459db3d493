"""Tables for people: a pipe gets them at full width, and on a terminal that is too narrow each row becomes a block.

No number is ever cut: a column is never narrower than its longest word, and where the columns do not fit, no column is
cut off; the cells stand below one another instead. Every verb prints its tables with this console and through `fitted`.
"""

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

ENDLESS = 100_000
BREAKABLE = 24  # a word of a column that folds (a path, a name) may be broken at this width, which no number reaches


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal, or where there is none, as wide as what is printed."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=ENDLESS)


def fitted(table: Table) -> RenderableType:
    """The table as it fits into what it is printed on, decided when it is printed."""
    return _Fitted(table)


@dataclasses.dataclass(frozen=True, slots=True)
class _Fitted:
    table: Table

    def __rich_console__(self, shown_on: Console, options: ConsoleOptions) -> RenderResult:
        wanted = [_wanted(shown_on, column) for column in self.table.columns]
        frame = shown_on.measure(self.table, options=options.update_width(ENDLESS)).maximum - _sum_of_most(wanted)
        room = options.max_width - frame
        if _sum_of_most(wanted) <= room:
            yield self.table
        elif sum(width.minimum for width in wanted) <= room:
            yield _with_widths(self.table, shared(wanted, room))
        else:
            yield from _blocks(self.table, shown_on)


def _sum_of_most(wanted: Iterable[Measurement]) -> int:
    return sum(width.maximum for width in wanted)


def _wanted(shown_on: Console, column: Column) -> Measurement:
    """The least and the most that a column can be given without its padding."""
    options = shown_on.options.update_width(ENDLESS)
    cells = [Measurement.get(shown_on, options, cell) for cell in (column.header, *column.cells)]
    most = max((cell.maximum for cell in cells), default=0)
    if column.no_wrap:
        return Measurement(most, most)
    word = max((cell.minimum for cell in cells), default=0)
    return Measurement(min(word, BREAKABLE) if column.overflow == "fold" else word, most)


def shared(wanted: Sequence[Measurement], room: int) -> list[int]:
    """Widths that add up to at most `room`, which holds all the least ones: the spare goes round evenly. Pure."""
    widths, spare = [width.minimum for width in wanted], room - sum(width.minimum for width in wanted)
    by_need = sorted(range(len(wanted)), key=lambda n: wanted[n].maximum - wanted[n].minimum)
    for left, n in zip(range(len(wanted), 0, -1), by_need, strict=True):
        given = min(wanted[n].maximum - wanted[n].minimum, spare // left)
        widths[n] += given
        spare -= given
    return widths


def _with_widths(table: Table, widths: Sequence[int]) -> Table:
    found = copy.copy(table)
    found.columns = [
        dataclasses.replace(column, width=width) for column, width in zip(table.columns, widths, strict=True)
    ]
    return found


def _blocks(table: Table, shown_on: Console) -> Iterator[RenderableType]:
    """Each row's first cell, and below it a line for each other cell that is not empty, under the column's header."""
    if table.title:
        yield _text(shown_on, table.title)
    headers = [_text(shown_on, column.header) for column in table.columns]
    label = max((header.cell_len for header in headers[1:]), default=0)
    for first, *rest in zip(*(column.cells for column in table.columns), strict=True):
        yield Text.assemble(_text(shown_on, first), overflow="fold")
        for header, cell in zip(headers[1:], rest, strict=True):
            if (value := _text(shown_on, cell)).plain:
                named = f"{header.plain:{label}}  " if table.show_header else ""
                yield Text.assemble(f"  {named}", value, overflow="fold")
    if table.caption:
        yield _text(shown_on, table.caption)


def _text(shown_on: Console, cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else shown_on.render_str(str(cell))
