"""The page's journals, its numbers, and the rows of its table.

Each file is read once: its digest is of the very bytes that are shown.
"""

import dataclasses
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.drills.drill import LAYERS
from koboshi.drills.report import Report, contents, parsed
from koboshi.errors import BadInput


@dataclasses.dataclass(frozen=True, slots=True)
class Journal:
    """A journal's file and what it tells."""

    name: str
    sha256: str
    text: str
    report: Report


def open_journal(path: Path) -> Journal:
    """Read one file; raises `BadInput` when it cannot be read, is no journal, or is of a newer format."""
    data = contents(path)
    return Journal(path.name, hashlib.sha256(data).hexdigest(), data.decode(), parsed(data, path))


def gather(paths: Sequence[Path]) -> list[Journal]:
    """The journals that the paths name, none twice; a folder stands for the newest of each drill in it.

    Raises `BadInput` for a folder without journals, and as `open_journal` does.
    """
    found = [journal for path in paths for journal in (newest_in(path) if path.is_dir() else [open_journal(path)])]
    return list({journal.sha256: journal for journal in found}.values())


def newest_in(folder: Path) -> list[Journal]:
    """The newest journal of each drill: files in the folder, and in its folders as `koboshi drill run` fills them."""
    folders = [inner for inner in sorted(folder.glob("*")) if inner.is_dir()]
    kept = [path for inner in folders for path in sorted(inner.glob("*T*.json"))[-1:]]
    journals = sorted(
        map(open_journal, [*sorted(folder.glob("*.json")), *kept]), key=lambda journal: journal.report.at_s
    )
    if not journals:
        raise BadInput(f"{folder} has no journals of drills: `koboshi drill run NAME` writes one.")
    return list({journal.report.drill: journal for journal in journals}.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Totals:
    """How many drills came to which verdict, and sums over those that measured; none where no drill did.

    `mispredicted` is over the drills that asked for predictions: those that count wrong ones. Lost ones had no answer.
    """

    proved: int
    refuted: int
    unknown: int
    lost: float | None
    doubled: float | None
    mispredicted: float | None

    @property
    def drills(self) -> int:
        """All of them."""
        return self.proved + self.refuted + self.unknown

    @property
    def sentence(self) -> str:
        """The verdicts in a sentence."""
        others = [f"{count} {word}" for word in ("refuted", "unknown") if (count := getattr(self, word))]
        return f"{', '.join([f'{self.proved} of {self.drills} drills proved', *others])}."


def totals(journals: Sequence[Journal]) -> Totals:
    """Verdicts and losses over all journals."""
    verdicts = [journal.report.outcome.verdict for journal in journals]
    return Totals(
        proved=verdicts.count("proved"),
        refuted=verdicts.count("refuted"),
        unknown=verdicts.count("unknown"),
        lost=_sum(journals, "lost"),
        doubled=_sum(journals, "doubled"),
        mispredicted=_sum([j for j in journals if "wrong" in j.report.outcome.evidence.measures], "lost", "wrong"),
    )


def by_layer(journals: Sequence[Journal]) -> list[tuple[str, list[Journal]]]:
    """Along the way of the data, and within a layer by name and age; layers without a journal are left out."""
    ordered = sorted(journals, key=lambda j: (_place(j.report.layer), j.report.drill, j.report.at_s))
    return [(layer, list(group)) for layer, group in itertools.groupby(ordered, lambda journal: journal.report.layer)]


def untested(journals: Sequence[Journal]) -> list[str]:
    """The layers that no journal tells of."""
    told = {journal.report.layer for journal in journals}
    return [layer for layer in LAYERS if layer not in told]


def anchors(journals: Sequence[Journal]) -> dict[str, str]:
    """By digest, where on the page each journal stands: the drill's name, numbered from its second journal on."""
    found, seen = {}, Counter[str]()
    for journal in journals:
        name = re.sub(r"[^\w-]", "-", journal.report.drill)
        seen[name] += 1
        found[journal.sha256] = name if seen[name] == 1 else f"{name}.{seen[name]}"
    return found


def circumstances(journals: Sequence[Journal]) -> list[tuple[Mapping[str, Any], list[Journal]]]:
    """Machines with their versions, each once, with the journals written there; the load is each drill's own."""
    found: dict[str, tuple[Mapping[str, Any], list[Journal]]] = {}
    for journal in journals:
        machine = {name: value for name, value in journal.report.machine.items() if name != "load"}
        facts = {**machine, **journal.report.versions}
        found.setdefault(repr(facts), (facts, []))[1].append(journal)
    return [kept for kept in found.values() if kept[0]]


def _place(layer: str) -> tuple[int, str]:
    known: tuple[str, ...] = LAYERS
    return (known.index(layer) if layer in known else len(known), layer)


def _sum(journals: Sequence[Journal], *names: str) -> float | None:
    every = [journal.report.outcome.evidence.measures for journal in journals]
    found = [measures[name] for measures in every for name in names if name in measures]
    return sum(found) if found else None
