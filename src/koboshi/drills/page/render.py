"""Fills the templates. Everything from a journal is escaped there: it is foreign input."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from koboshi.drills.page import overview, scale
from koboshi.drills.page.overview import Journal
from koboshi.drills.page.story import tell
from koboshi.drills.page.timeline import timeline
from koboshi.drills.report import measured, measures_of, seconds, words
from koboshi.errors import BadInput
from koboshi.files import publish_bytes

WIDE, NARROW = (
    760,
    328,
)  # charts are drawn twice, for desks and paper and for phones, so that their letters keep their size
MOST = 12  # moments that are told one by one beside the chart; the rest is in the list of all
SIGNS = {"proved": "✓", "refuted": "✗", "unknown": "?"}
COLUMNS = {
    "detected_after_s": "detected after",
    "recovered_after_s": "recovered after",
    "lost": "lost",
    "doubled": "doubled",
    "redone": "redone",
}

ANSWERED = {when: (f"p50_{when}_ms", f"p99_{when}_ms") for when in ("before", "during", "after")}


def publish_page(path: Path, journals: Sequence[Journal]) -> Path:
    """Write the page: the whole of it or nothing. Raises `BadInput` when the path cannot take a file."""
    try:
        return publish_bytes(path, render(journals).encode()).path
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}): name another file with --output.") from error


def render(journals: Sequence[Journal]) -> str:
    """The page, as HTML that needs nothing else: the same journals give the same bytes."""
    layers = overview.by_layer(journals)
    ordered = [journal for _, group in layers for journal in group]
    places = overview.circumstances(ordered)
    return (
        _environment()
        .get_template("page.html")
        .render(
            totals=overview.totals(ordered),
            layers=layers,
            untested=overview.untested(ordered),
            anchors=overview.anchors(ordered),
            drills=[_shown(journal) for journal in ordered],
            places=places,
            place_of={journal.sha256: number for number, (_, group) in enumerate(places, 1) for journal in group},
            columns=COLUMNS,
            signs=SIGNS,
            most=MOST,
        )
    )


def _shown(journal: Journal) -> dict[str, Any]:
    story = tell(journal.report.outcome, journal.report.at_s)
    charts = [("wide", timeline(story, WIDE)), ("narrow", timeline(story, NARROW))]
    told = [moment for moment in story.moments if moment.kind in ("suspicion", "recovery")]
    measures = measures_of(journal.report.outcome)
    answers = {when: [measures.get(name) for name in names] for when, names in ANSWERED.items()}
    rest = [name for name in measures if name not in sum(ANSWERED.values(), ())]
    ordered = {name: measures[name] for name in (*COLUMNS, *rest) if name in measures}
    return {
        "journal": journal,
        "story": story,
        "charts": charts,
        "told": told,
        "measures": ordered,
        "answers": {when: found for when, found in answers.items() if None not in found},
    }


def prose(text: str) -> Markup:
    """Escaped, and what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup().join(Markup("<code>{}</code>").format(p) if n % 2 else p for n, p in enumerate(parts))


@cache
def _environment() -> Environment:
    """One for all pages of a process: to compile the templates takes longer than to fill them."""
    environment = Environment(
        loader=PackageLoader("koboshi.drills.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "prose": prose}
    for function in (seconds, scale.offset, scale.clock, scale.day):
        environment.filters[function.__name__] = function
    environment.globals |= {"measured": measured, "measures_of": measures_of}
    return environment
