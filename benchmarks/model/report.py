"""The table of models, the champion, and the verdict, pure."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.bars import Bar, all_of
from benchmarks.model.entrants import Entrant
from benchmarks.model.outcome import PERFECT, Figures, Outcome
from pipelines.published import COLUMNS, PUBLISHED

TITLES = ("AUC ROC", "average precision", "card precision@100")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A model: for each metric the published figure, ours of the same week, and the mean and deviation over weeks."""

    name: str
    published: tuple[float, ...] | None
    first: tuple[float, ...] | None
    mean: tuple[float, ...] | None
    deviation: tuple[float, ...] | None


def lines(entrants: Sequence[Entrant], figures: Figures, perfect: Mapping[str, Mapping[str, float]]) -> list[Line]:
    """The published models with their figures beside ours of the rebuilt ones; then ours; then what nobody can beat."""
    rebuilt = {entrant.rebuilt: entrant for entrant in entrants if entrant.rebuilt}
    found = [
        _line(name, published, figures[rebuilt[name].name] if name in rebuilt else {})
        for name, published in PUBLISHED.items()
    ]
    found += [_line(f"ours: {entrant.name}", None, figures[entrant.name]) for entrant in entrants if entrant.ours]
    return [*found, _line(PERFECT, None, perfect)]


def champion(entrants: Sequence[Entrant], figures: Figures, by: str) -> str:
    """The best of ours, by the mean of a metric over the weeks; of a tie, the first."""
    return max((entrant.name for entrant in entrants if entrant.ours), key=lambda name: mean(figures[name], by))


def mean(of_weeks: Mapping[str, Mapping[str, float]], metric: str) -> float:
    """Over all weeks."""
    return statistics.fmean(metrics[metric] for metrics in of_weeks.values())


def same(struck: Outcome, calm: Outcome, kills_needed: int) -> list[Bar]:
    """Whether kills changed anything, and whether there were enough of them to say so."""
    recovered = [one.recovered_s for one in struck.kills if one.recovered_s is not None]
    later = f", next step committed after median {statistics.median(recovered):.2f} s" if recovered else ""
    metrics = [struck.figures[name] == weeks for name, weeks in calm.figures.items()]
    return [
        Bar(
            "workers killed at a step",
            f"≥ {kills_needed}",
            f"{len(struck.kills)}{later}",
            len(struck.kills) >= kills_needed,
        ),
        all_of("scores the same to the last bit", _alike(struck.digests, calm.digests)),
        all_of("metrics of each step the same", _alike(struck.histories, calm.histories)),
        all_of("lines of the table the same", metrics),
        Bar("time of training, killed and not", "", f"{struck.trained_s:.0f} s and {calm.trained_s:.0f} s", True),
    ]


def worth(entrants: Sequence[Entrant], figures: Figures, by: str) -> list[Bar]:
    """The champion against the best of the rebuilt published models, metric by metric, on the same rows."""
    ours = champion(entrants, figures, by)
    peers = [entrant.name for entrant in entrants if entrant.rebuilt]
    found = []
    for metric, title in zip(COLUMNS, TITLES, strict=True):
        best = max(peers, key=lambda name: mean(figures[name], metric))
        ahead = [figures[ours][week][metric] - figures[best][week][metric] for week in figures[ours]]
        better = sum(one > 0 for one in ahead)
        told = f"{statistics.fmean(ahead):+.3f} against {best} (better in {better} of {len(ahead)} weeks)"
        found.append(Bar(f"champion ({ours}): {title}, mean over weeks", "≥ +0", told, statistics.fmean(ahead) >= 0))
    return found


def show(title: str, found: Sequence[Line]) -> None:
    """The table, on the terminal or in a log."""
    table = Table(title=title)
    table.add_column("model")
    for name in TITLES:
        for what in ("published", "same week", "all weeks"):
            table.add_column(f"{name}\n{what}", justify="right")
    for line in found:
        table.add_row(line.name, *cells(line))
    console = Console()
    (console if console.is_terminal else Console(width=190)).print(table)


def cells(line: Line) -> list[str]:
    """Three for each metric: published, the same week's here, and all weeks'."""
    found = []
    for at in range(len(COLUMNS)):
        found += [_number(line.published, at), _number(line.first, at)]
        over = "" if line.deviation is None else f" ± {line.deviation[at]:.3f}"
        found.append(_number(line.mean, at) + over)
    return found


def _line(name: str, published: tuple[float, ...] | None, of_weeks: Mapping[str, Mapping[str, float]]) -> Line:
    if not of_weeks:
        return Line(name, published, None, None, None)
    columns = [[metrics[column] for metrics in of_weeks.values()] for column in COLUMNS]
    return Line(
        name,
        published,
        tuple(values[0] for values in columns),
        tuple(statistics.fmean(values) for values in columns),
        tuple(statistics.stdev(values) if len(values) > 1 else 0.0 for values in columns),
    )


def _number(values: tuple[float, ...] | None, at: int) -> str:
    return "" if values is None else f"{values[at]:.3f}"


def _alike(one: Mapping[str, object], other: Mapping[str, object]) -> list[bool]:
    """By unit; one that is missing on a side differs."""
    return [name in one and name in other and one[name] == other[name] for name in sorted({*one, *other})]
