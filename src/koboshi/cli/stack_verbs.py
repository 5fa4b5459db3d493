"""The verbs of the stack: up, down, status, logs, kill; and those for containers: its secrets, docker-compose.yml."""

import dataclasses
from collections.abc import Callable
from typing import Annotated

import typer

from koboshi.cli.output import AsJson, print_json
from koboshi.cli.project_verbs import warn
from koboshi.rich_tables import console as console_of
from koboshi.settings import Settings, load_settings, load_what_fits
from koboshi.stack.parts import chosen_groups, external_groups, groups, usual_groups, usual_groups_with
from koboshi.stack.paths import find_paths, state_dir_of_stack
from koboshi.stack.topology import container_topology

VICTIMS = "ray-worker (the actor that is training now), ray-node, replica-2, kafka, … as `koboshi status` names them"


def _choices() -> str:
    usual, others = usual_groups(), [group for group in groups() if group not in usual_groups()]
    wanted = f", and only when they are named: {', '.join(others)}" if others else ""
    return f"{', '.join(usual)}; all when none is named{wanted}"


def up(parts: Annotated[list[str] | None, typer.Argument(help=_choices())] = None) -> None:
    """Start the stack, or some of its parts, and return when they have done real work.

    Parts that run already go on running. A part whose address is set in koboshi.toml or in the environment is not
    started. Everything listens on 127.0.0.1 only.

    Example: koboshi up kafka mlflow
    """
    from koboshi.stack.lifecycle import start
    from koboshi.stack.part_state import wait_until_healthy
    from koboshi.stack.rich_table import Progress

    settings = _settings(with_stack=False)
    chosen = chosen_groups(parts or (), settings)
    with Progress(console_of()) as progress:
        table = start(settings, chosen, progress.emit) if chosen else {}
        started = {name: part for name, part in table.items() if part.group in chosen}
        elsewhere = external_groups(settings).intersection(parts or groups())
        wait_until_healthy(find_paths(settings.project, settings.state_dir), started, elsewhere, progress.show)


def down(
    parts: Annotated[list[str] | None, typer.Argument(help="A part, or a group of parts.", show_default="all")] = None,
    as_json: AsJson = False,
) -> None:
    """Stop the stack, or some of its parts. What was stopped stays down until `koboshi up`.

    Without a name every part ends, and nothing of the stack stays behind. `koboshi kill` is another thing: the part
    that it kills comes back by itself.

    Example: koboshi down replica-2 mlflow
    """
    from koboshi.stack.lifecycle import stop, stop_parts

    settings = _settings(with_stack=False)
    stopped = stop_parts(settings, parts) if parts else []
    left = 0 if parts else stop(settings)
    if as_json:
        print_json({"stopped": [part.name for part in stopped] or "all", "without_supervisor": left})
    elif parts:
        again = " ".join(dict.fromkeys(part.group for part in stopped))
        typer.echo(f"{', '.join(part.name for part in stopped)}: down until `koboshi up {again}`. The rest goes on.")
    else:
        typer.echo("The stack is down." + (f" {left} processes without a supervisor were ended." if left else ""))


def status(
    probe: Annotated[bool, typer.Option("--probe", help="Ask every part anew to do real work; takes seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every part with its last probe, and what each slot serves and refuses.

    The stack probes itself by real work, about every 30 s; `asked` says how long ago that was.

    Exit 0 when all is well, else 75. A version that is refused while another one answers makes no part ill.

    Example: koboshi status --probe --json
    """
    from koboshi.stack import status as stack_status
    from koboshi.stack.rich_table import address_line, login_lines, status_table

    settings, by_hand = _settings(), _settings(lambda _sentence: None, with_stack=False)
    console = console_of()
    with console.status("asking every part to do some work") if probe and console.is_terminal else console:
        states = stack_status.status(settings, by_hand, probe=probe)
        served = stack_status.slots(settings)
    logins = stack_status.logins(settings)
    if as_json:
        typer.echo(stack_status.as_json(states, served, logins))
    elif states:
        console.print(status_table(states))
        for line in (*map(stack_status.sentence, served), login_lines(logins), address_line(states, logins)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    else:
        typer.echo("Nothing runs: `koboshi up` starts the stack.")
    raise typer.Exit(0 if stack_status.all_well(states) else 75)


def doctor(as_json: AsJson = False) -> None:
    """Check this machine, the installation and the project: what is wrong, and what to do about it.

    It changes nothing, and works before `koboshi up` as well as beside a stack that is up.

    Exit 0 when nothing is wrong, else 65. A `note` is not wrong: koboshi works all the same.

    Example: koboshi doctor
    """
    from koboshi.stack.doctor import anything_wrong, examine
    from koboshi.stack.rich_table import doctor_table

    misfits = list[str]()
    settings, by_hand = _settings(misfits.append), _settings(lambda _sentence: None, with_stack=False)
    findings = examine(settings, by_hand, misfits)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        console_of().print(doctor_table(findings), highlight=False)
    raise typer.Exit(65 if anything_wrong(findings) else 0)


def logs(
    part: Annotated[str, typer.Argument(help="A part as `koboshi status` names it, or supervisor.")],
    last: Annotated[
        int | None,
        typer.Option("-n", "--lines", min=0, help="How many of the last lines.", show_default="20 kB of them"),
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines are written.")] = False,
) -> None:
    """Show the last lines of a part's log.

    Example: koboshi logs kafka -n 50 --follow
    """
    from koboshi.stack.lifecycle import last_lines, log_of, new_lines

    settings = _settings()
    path = log_of(find_paths(settings.project, settings.state_dir), part)
    lines, position = last_lines(path, last)
    for line in lines:
        typer.echo(line)
    for line in new_lines(path, position, lambda: not follow):
        typer.echo(line)


def kill(
    part: Annotated[str, typer.Argument(help=VICTIMS)],
    signal: Annotated[str, typer.Option(help="The signal to send.")] = "KILL",
    as_json: AsJson = False,
) -> None:
    """Send a signal to a part, as an accident would, and say which process it was.

    A killed part comes back by itself; `koboshi down PART` stops one for good.

    Example: koboshi kill ray-worker
    """
    from koboshi.stack.lifecycle import find_victim, signal_number, strike

    number, settings = signal_number(signal), _settings()
    victim = find_victim(part, settings, find_paths(settings.project, settings.state_dir))
    struck = strike(victim, number)
    if as_json:
        print_json({"part": victim.name, "signal": number.name, "pids": struck, "doing": victim.doing})
        return
    others = f" and {len(struck) - 1} processes under it" if len(struck) > 1 else ""
    doing = f", which was at {victim.doing}" if victim.doing else ""
    typer.echo(f"{number.name} was sent to {victim.name}, process {victim.pids[0]}{others}{doing}.")


def _settings(warned: Callable[[str], None] = warn, *, with_stack: bool = True) -> Settings:
    """What these verbs need, whatever else a person has written: a stack can always be looked at, and stopped."""
    return load_what_fits(warned, state_dir_of_stack, with_stack=with_stack)


compose = typer.Typer(no_args_is_help=True, help="Run the stack in containers: see docs/containers.md.")


@compose.command()
def init() -> None:
    """Write the secrets of the containers to .env, which Compose reads; only you can read the file.

    Run again, it keeps the secrets that are there, because the volumes were made with them. Git is made to ignore the
    file; one that git tracks is refused.

    Example: koboshi compose init && docker-compose up -d
    """
    from koboshi.stack.compose_prepare import FILE, ensure_env_file, keep_out_of_git

    path = load_settings(with_stack=False).project / FILE
    if keep_out_of_git(path):
        typer.echo(f"git ignores {FILE} in this clone from now on (.git/info/exclude).")
    made = ensure_env_file(path)
    typer.echo(f"{path} has {len(made)} new secrets." if made else f"{path} has every secret already.")
    typer.echo("Next: docker-compose build, then docker-compose up -d (or docker compose …).")


@compose.command()
def render(
    parts: Annotated[list[str] | None, typer.Argument(help="Parts beside those that `koboshi up` starts.")] = None,
) -> None:
    """Write docker-compose.yml from the descriptions of the parts.

    Example: koboshi compose render schema-registry
    """
    from koboshi.files import publish_bytes
    from koboshi.stack.compose_file import FILE
    from koboshi.stack.compose_file import render as text

    path = load_settings(with_stack=False).project / FILE
    publish_bytes(path, text(container_topology(), usual_groups_with(parts or ())).encode())
    typer.echo(f"{path} is written.")
