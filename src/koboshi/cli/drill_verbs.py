"""The verbs of the drills: list, run, show, report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koboshi.errors import BadInput, Permanent, Transient
from koboshi.rich_tables import console as console_of
from koboshi.settings import load_settings

if TYPE_CHECKING:
    from koboshi.drills.report import Report

app = typer.Typer(no_args_is_help=True, help="Inject a real fault and verify that nothing was lost.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in the journal's own format.")]


@app.command("list")
def list_drills(as_json: AsJson = False) -> None:
    """The drills that there are, what each claims, and how it ended last time."""
    from koboshi.drills.catalogue import all_drills
    from koboshi.drills.report import newest

    last = newest(load_settings().state_dir / "drills")
    if as_json:
        typer.echo(json.dumps([_listed(drill, last.get(drill.name)) for drill in all_drills().values()]))
        return
    for drill in all_drills().values():
        report = last.get(drill.name)
        verdict = f"{report.outcome.verdict} in {report.took_s:.0f} s" if report else "not run here yet"
        typer.echo(f"{drill.name}  ({verdict})\n    {drill.claim}\n    fault: {drill.fault}")


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help="See `koboshi drill list`; `replica` means all replica-….")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every drill that there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run drills on the stack that is up; your data, models and spans are left alone.

    Exit 0: all proved. 65: one is refuted. 75: one is unknown, because the steady state was not there, so that nothing
    was tested.
    """
    from koboshi.drills.catalogue import all_drills, named
    from koboshi.drills.report import as_table
    from koboshi.drills.run import overview, perform_all

    if every == bool(names):
        raise BadInput("say which drills to run, or --all: `koboshi drill list` names them.")
    drills = list(all_drills().values()) if every else [drill for name in names or () for drill in named(name)]
    console = console_of(stderr=as_json)
    done = perform_all(drills, load_settings(), console)
    reports = [report for report, _ in done]
    if as_json:
        told = [report.as_json() for report in reports]
        typer.echo(json.dumps(told[0] if len(drills) == 1 else told))
    else:
        for report, path in done:
            console.print(as_table(report))
            console.print(f"journal: {path}", soft_wrap=True)
        if len(done) > 1:
            console.print(overview(drills, reports))
    _conclude(reports)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Only this drill.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest reports.")] = 3,
    as_json: AsJson = False,
) -> None:
    """The newest reports, oldest first."""
    from koboshi.drills.catalogue import named
    from koboshi.drills.report import as_table, saved

    wanted = {drill.name for drill in named(name)} if name else None
    reports = [r for r in saved(load_settings().state_dir / "drills") if wanted is None or r.drill in wanted][-last:]
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports]))
        return
    if not reports:
        typer.echo("No drill was run here yet: `koboshi drill run NAME`, see `koboshi drill list`.")
    for report in reports:
        console_of().print(as_table(report))


@app.command("report")
def report_page(
    journals: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="JOURNAL",
            help="Journals, or folders: the newest of each drill in it. Without any: your own.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; otherwise drills/report.html in the state folder.")
    ] = None,
) -> None:
    """One HTML page to read, print or publish: what was broken, when it was seen, when all was well, what was lost.

    It needs nothing but itself. Exit 0: it is written, whatever the verdicts. 65: a file is no journal, or of a newer
    format; then nothing is written.
    """
    from koboshi.drills.page.overview import gather, newest_in, totals
    from koboshi.drills.page.render import publish_page

    found = gather(journals) if journals else newest_in(load_settings().state_dir / "drills")
    path = publish_page(output or load_settings().state_dir / "drills" / "report.html", found)
    typer.echo(f"{totals(found).sentence} The page: {path}")


def _listed(drill: Any, report: "Report | None") -> dict[str, Any]:
    said = {"name": drill.name, "claim": drill.claim, "fault": drill.fault, "layer": drill.layer}
    return {**said, "last": report.as_json() if report else None}


def _conclude(reports: "list[Report]") -> None:
    for verdict, kind, means in (
        ("refuted", Permanent, "refuted"),
        ("unknown", Transient, "neither proved nor refuted"),
    ):
        told = [
            f"{report.drill} is {means}: {'; '.join(report.outcome.reasons)}"
            for report in reports
            if report.outcome.verdict == verdict
        ]
        if told:
            raise kind(f"{'. '.join(told)}. See `koboshi status` and `koboshi drill show`.")
