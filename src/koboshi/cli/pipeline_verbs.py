"""Verbs of a project's own pipeline: init, run, project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koboshi.errors import Permanent
from koboshi.settings import load_settings

if TYPE_CHECKING:
    from koboshi.project import Project

app = typer.Typer(no_args_is_help=True, help="Keep dvc.yaml and code.json as the project's module declares them.")


def init(
    folder: Annotated[Path, typer.Argument(help="The new project's folder; its name becomes the module's.")],
) -> None:
    """Make a new project that runs as it stands: a pipeline of thirty lines, its DAG, its tests.

    Example: koboshi init bikes
    """
    from koboshi.project.scaffold import make_project

    for path in make_project(folder.absolute()):
        typer.echo(f"  {path}")
    typer.echo(f"Made {folder}. Now: cd {folder} && koboshi up && koboshi run")


def run(
    airflow: Annotated[bool, typer.Option("--airflow", help="Let the project's DAGs do it, and follow them.")] = False,
) -> None:
    """Run the whole flow once: sample records, landing, dataset, training, promotion, answers.

    Does only what is new. Safe to run again, and after any crash. The DAGs of the project do the same on a schedule.

    Example: koboshi up && koboshi run
    """
    from koboshi.project.running import Run
    from koboshi.rich_tables import console, fitted

    settings = load_settings()
    console().print(fitted(Run(settings, _project()).through(by_airflow=airflow)))


@app.command()
def sync(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 65 where dvc.yaml differs.")] = False,
) -> None:
    """Write dvc.yaml from the declarations of the project's module.

    Example: koboshi project sync --check
    """
    from koboshi.project import dvc_file

    settings, project = load_settings(), _project()
    if check and not dvc_file.is_current(project, settings.pipeline.named):
        raise Permanent(f"dvc.yaml is not as {settings.pipeline.named} declares it: run `koboshi project sync`.")
    written = not check and dvc_file.sync(project, settings.pipeline.named)
    typer.echo(f"dvc.yaml is {'written anew' if written else 'as declared'}.")


@app.command()
def code() -> None:
    """Write code.json: for each stage the digest of its code. DVC calls this, as the pipeline's first stage.

    Example: koboshi project code
    """
    from koboshi.project.code_file import write_codes

    typer.echo(f"{write_codes(_project()).name} is written.")


def _project() -> "Project":
    from koboshi.project.project import load_project

    settings = load_settings()
    return load_project(settings.project, settings.pipeline.named)
