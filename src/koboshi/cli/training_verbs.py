"""The verbs of training: run, watch, history."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koboshi.cli.output import AsJson, print_json
from koboshi.rich_tables import console as console_of
from koboshi.settings import load_settings, required

if TYPE_CHECKING:
    from koboshi.training.progress.observer import Observer

app = typer.Typer(no_args_is_help=True, help="Run a training, watch one, or list all of them.")

NONE_YET = "No training was done here yet: `koboshi train run SPECIFICATION`, or the DAG `train`."


@app.command()
def run(
    specification: Annotated[
        Path, typer.Argument(help="What TrainingSpec.to_json writes; see above where each training leaves its own.")
    ],
    job: Annotated[
        Path | None, typer.Option(help="A script of the project that works on it.", show_default="koboshi.training.job")
    ] = None,
) -> None:
    """Run a training on Ray and follow it; committed steps are not done again.

    Each training that was submitted has left its specification in the state folder, as
    checkpoints/KEY/specification.json: KEY is the first 16 digits of its key, as `koboshi train history` shows it.

    Safe to run again and by many at once, and beside the DAG: the same key is trained once. Interrupted (Ctrl-C), it
    leaves the job running. Scores, and what MLflow is told, are the pipeline's: the stage `train` of dvc.yaml.

    Exit 0: all units are trained. 65: a unit cannot be trained. 75: try again later.

    Example: koboshi train run .koboshi/checkpoints/0123456789abcdef/specification.json
    """
    from koboshi.errors import BadInput
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.sinks.terminal import to_terminal
    from koboshi.training.attach import ensure_trained
    from koboshi.training.on_ray.ray_submit import RayJobs, submission
    from koboshi.training.spec import read_specification

    spec, settings = read_specification(specification), load_settings()
    script = None if job is None else Path(spec.place.project) / job
    if script is not None and not script.is_file():
        raise BadInput(f"there is no script {script}: name the one that works on trainings by --job.")
    jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
    try:
        start = submission(spec, script)
        result = ensure_trained(
            spec, jobs, open_ledger(spec.place.ledger_url, Path(spec.place.state_dir)), start, to_terminal
        )
    except KeyboardInterrupt:
        again = f"`koboshi train run {specification}` attaches to it, `koboshi train watch {spec.key[:16]}` shows it"
        typer.echo(f"The job runs on: {again}.", err=True)
        raise typer.Exit(130) from None
    if not result.trained:
        typer.echo("All its steps are committed already: nothing is trained.")
    for name, steps in result.units.items():
        typer.echo(f"{name}: {steps[-1].checkpoint.step} steps, final state {steps[-1].checkpoint.sha256}")


@app.command()
def watch(
    key: Annotated[
        str | None, typer.Argument(help="A key's beginning, or a job's name.", show_default="the newest")
    ] = None,
    next_one: Annotated[
        bool, typer.Option("--next", help="Wait for the next training to begin, and show that.")
    ] = False,
    within: Annotated[
        float | None, typer.Option(min=0, help="With --next: wait this many seconds, then end with 75.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one snapshot and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a training while it runs: units, workers, beats and suspicion, recoveries; ends when it ends.

    It says which training it shows, when that began and how it stands. A training begins a while after its DAG was
    triggered: --next waits for the first one that was not there when this verb was called. Ctrl-C ends with 130.

    It reads what others have written, and disturbs nobody. Over a pipe it writes a line for each change; with --json
    an object for each. Of a training that has ended it shows how.

    Example: koboshi train watch --next
    """
    if next_one and key is not None:
        raise typer.BadParameter("--next is for a training that has no key yet: leave the key out.")
    if within is not None and not next_one:
        raise typer.BadParameter("--within says how long --next waits: give both.")
    observer = _observer()
    try:
        found = _next(observer, within) if next_one else observer.chosen(key)
        if found is None:
            typer.echo("null" if as_json else NONE_YET)
            return
        _show(observer, found, once=once, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _next(observer: "Observer", within_s: float | None) -> str:
    """Wait for the next training; what is said meanwhile goes to stderr, so that a pipe gets the training alone."""
    from koboshi.training.progress.observer import wait_for_next
    from koboshi.training.progress.rich_overview import named

    before, newest = observer.beginnings(), observer.chosen(None)
    last = f"; the newest one: {named(observer.look(newest))}" if newest else ""
    typer.echo(f"Waiting for the next training to begin{last}.", err=True)
    return wait_for_next(lambda: observer.begun_since(before), within_s)


def _show(observer: "Observer", key: str, *, once: bool, as_json: bool) -> None:
    from koboshi.training.progress.observer import ChangedJson, ChangedLines, follow, watch_live
    from koboshi.training.progress.observer import as_json as fields_of
    from koboshi.training.progress.rich_overview import picture

    console, seen = console_of(), observer.look(key)
    if seen.ended and not (once or as_json):
        typer.echo("This training has ended; `koboshi train watch --next` waits for the next one.", err=True)
    if once:
        typer.echo(json.dumps(fields_of(seen))) if as_json else console.print(picture(seen), highlight=False)
    elif as_json:
        follow(lambda: observer.look(key), ChangedJson(_write).show)
    elif console.is_terminal:
        watch_live(lambda: observer.look(key), console)
    else:
        follow(lambda: observer.look(key), ChangedLines(_write).show)


@app.command()
def history(
    last: Annotated[int, typer.Option("-n", min=1, help="How many of the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """All trainings that the ledger knows, the newest last: attempts, units, steps, recoveries, how each ended.

    Example: koboshi train history -n 5
    """
    from koboshi.training.progress.observer import as_json as fields_of
    from koboshi.training.progress.rich_overview import history as table

    observer = _observer()
    seen = [observer.look(key) for key in observer.keys()[-last:]]
    if as_json:
        print_json([fields_of(one) for one in seen])
    elif seen:
        console_of().print(table(seen), highlight=False)
    else:
        typer.echo(NONE_YET)


def _observer() -> "Observer":
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.training.progress.observer import Observer

    settings = load_settings()
    return Observer(settings.state_dir, open_ledger(settings.ledger_url, settings.state_dir))


def _write(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
