"""The verbs of the drills: list, run, show."""

import json
from typing import Annotated

import typer

from koboshi.errors import Permanent, Transient

app = typer.Typer(no_args_is_help=True, help="Really break something, and have it proved that nothing was lost.")

AsJson = Annotated[bool, typer.Option("--json", help="For machines: the journal's own format.")]


@app.command("list")
def list_drills() -> None:
    """The drills that there are, and what each claims."""
    from koboshi.drills.catalogue import DRILLS

    for drill in DRILLS.values():
        typer.echo(f"{drill.name}\n    {drill.claim}\n    fault: {drill.fault}")


@app.command()
def run(name: Annotated[str, typer.Argument(help="See `koboshi drill list`.")], as_json: AsJson = False) -> None:
    """Run a drill on the stack that is up; your data, models and spans are left alone.

    Exit 0: proved. 65: refuted. 75: unknown, because the steady state was not there, so that nothing was tested.
    """
    from rich.console import Console

    from koboshi.drills.catalogue import named
    from koboshi.drills.report import as_table
    from koboshi.drills.stage import perform
    from koboshi.settings import load_settings

    drill, settings = named(name), load_settings()
    console = Console(stderr=as_json)
    console.print(f"[bold]claim[/] {drill.claim}\n[bold]fault[/] {drill.fault}")
    report, path = perform(
        drill, settings, lambda line: console.print(line, style="dim", markup=False, highlight=False)
    )
    if as_json:
        typer.echo(json.dumps(report.as_json()))
    else:
        console.print(as_table(report))
        console.print(f"journal: {path}", soft_wrap=True)
    if report.verdict == "refuted":
        raise Permanent(f"{name} is refuted: {'; '.join(report.reasons)}.")
    if report.verdict == "unknown":
        raise Transient(f"{name} is neither proved nor refuted: {'; '.join(report.reasons)}. See `koboshi status`.")


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Only this drill.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest reports.")] = 3,
    as_json: AsJson = False,
) -> None:
    """The newest reports, oldest first."""
    from rich.console import Console

    from koboshi.drills.catalogue import named
    from koboshi.drills.report import as_table, saved
    from koboshi.settings import load_settings

    reports = list(saved(load_settings().state_dir / "drills", name and named(name).name))[-last:]
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports]))
        return
    if not reports:
        typer.echo("No drill was run here yet: `koboshi drill run NAME`, see `koboshi drill list`.")
    for report in reports:
        Console().print(as_table(report))
