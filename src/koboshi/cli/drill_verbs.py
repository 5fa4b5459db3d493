"""The verbs of the drills: list, run, show, report."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koboshi.cli.output import events_of, print_json
from koboshi.errors import BadInput, Permanent, Transient
from koboshi.rich_tables import console as console_of
from koboshi.settings import load_settings

if TYPE_CHECKING:
    from koboshi.drills.report import Report

app = typer.Typer(no_args_is_help=True, help="Inject a real fault and verify that nothing was lost.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in the journal's own format.")]


@app.command("list")
def list_drills(as_json: AsJson = False) -> None:
    """The drills that there are, what each claims, and how it ended last time.

    Example: koboshi drill list
    """
    from koboshi.drills.catalogue import all_drills
    from koboshi.drills.report import newest

    settings = load_settings()
    last, known = newest(settings.state_dir / "drills"), all_drills(settings)
    if as_json:
        typer.echo(json.dumps([_listed(drill, last.get(drill.name)) for drill in known.values()]))
        return
    for drill in known.values():
        report = last.get(drill.name)
        verdict = f"{report.outcome.verdict} in {report.took_s:.0f} s" if report else "not run here yet"
        typer.echo(f"{drill.name}  ({verdict})\n    {drill.claim}\n    fault: {drill.fault}")


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help="See `koboshi drill list`; `replica` means all replica-….")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every drill that there is.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write the verdicts to this file, as JUnit's XML.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run drills on the stack that is up; your data, models and spans are left alone.

    Exit 0: all proved. 65: one is refuted. 75: one is unknown, because the steady state was not there, so that nothing
    was tested.

    Example: koboshi drill run ray-worker-killed
    """
    from koboshi.drills.catalogue import all_drills, named
    from koboshi.drills.junit import publish_junit
    from koboshi.drills.report import as_table
    from koboshi.drills.run import overview, perform_all

    if every == bool(names):
        raise BadInput("say which drills to run, or --all: `koboshi drill list` names them.")
    settings = load_settings()
    known = all_drills(settings)
    drills = list(known.values()) if every else [drill for name in names or () for drill in named(name, settings)]
    console = console_of(stderr=as_json)
    done = perform_all(drills, settings, console)
    reports = [report for report, _ in done]
    if junit is not None:
        publish_junit(junit, reports)
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
def new(name: Annotated[str, typer.Argument(help="The drill's name, such as replica-lost.")]) -> None:
    """Write a drill of your own into drills/, with its negative control: a beginning, to be changed.

    Example: koboshi drill new replica-lost
    """
    from koboshi.project.scaffold import make_drill

    path = make_drill(load_settings().project, name)
    typer.echo(f"{path} is written. `koboshi drill run {name}` runs it, `koboshi drill control {name}` its control.")


@app.command()
def control(
    name: Annotated[str, typer.Argument(help="A drill of the project's own.")], as_json: AsJson = False
) -> None:
    """Run the negative control of a drill of your own: its guard is away, so it has to be refuted.

    Exit 0: it is refuted, and the reason is said. 65: it is not, so the drill proves nothing.

    Example: koboshi drill control replica-lost
    """
    from koboshi.drills.catalogue import control_of, named
    from koboshi.drills.drill import run_drill
    from koboshi.drills.run import fingerprints

    settings = load_settings()
    (drill,) = named(name, settings)
    taken = control_of(drill, settings)
    emit = events_of(as_json=as_json)
    outcome = run_drill(taken, taken.environment(settings, emit), lambda: fingerprints(settings), emit)
    if as_json:
        print_json({"drill": name, "verdict": outcome.verdict, "reasons": list(outcome.reasons)})
    if outcome.verdict != "refuted":
        raise Permanent(f"the control of {name} is {outcome.verdict}, and has to be refuted: the drill proves nothing.")
    if not as_json:
        typer.echo(f"{name} is refuted without its guard: {'; '.join(outcome.reasons)}")


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Only this drill.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest reports.")] = 3,
    as_json: AsJson = False,
) -> None:
    """The newest reports, oldest first.

    Example: koboshi drill show ray-worker-killed --last 1
    """
    from koboshi.drills.catalogue import named
    from koboshi.drills.report import as_table, saved

    settings = load_settings()
    wanted = {drill.name for drill in named(name, settings)} if name else None
    reports = [r for r in saved(settings.state_dir / "drills") if wanted is None or r.drill in wanted][-last:]
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
    as_json: AsJson = False,
) -> None:
    """One HTML page to read, print or publish: what was broken, when it was seen, when all was well, what was lost.

    It needs nothing but itself. Exit 0: it is written, whatever the verdicts. 65: a file is no journal, or of a newer
    format; then nothing is written.

    Example: koboshi drill report --output drills.html
    """
    from koboshi.drills.page.overview import gather, newest_in, totals
    from koboshi.drills.page.render import publish_page

    found = gather(journals) if journals else newest_in(load_settings().state_dir / "drills")
    path = publish_page(output or load_settings().state_dir / "drills" / "report.html", found)
    counted = totals(found)
    if as_json:
        print_json({"page": str(path), **dataclasses.asdict(counted)})
        return
    typer.echo(f"{counted.sentence} The page: {path}")


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
