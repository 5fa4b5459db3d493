"""A project's own verbs, named in its koboshi.toml, so that the mechanism needs to know nothing of them.

Each is imported when it is called or listed, and not before: what is wrong with it takes away that verb alone. The
verbs of the stack and `--help` never depend on a project's code.
"""

import importlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from koboshi.errors import NotConfigured
from koboshi.settings import FILE, find_project, load_what_fits

LONGEST_REASON = 200
WITHOUT_PROJECT = frozenset({"up", "down", "status", "doctor", "logs", "kill"})


class WithVerbsOfProject(TyperGroup):
    """koboshi's verbs, then those of the project that is found from here."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs that can be called; for each of the project's that cannot, a warning says why."""
        own = super().list_commands(ctx)
        targets, wrong = _named()
        for sentence in wrong:
            warn(sentence)
        for name, target in targets.items():
            if name in own:
                warn(f"[commands] {name} in {FILE} is left out: koboshi has a verb of that name, choose another one.")
            else:
                self._take_up(name, target)
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of this name; raises `NotConfigured` where it is the project's, and cannot be loaded."""
        if (known := super().get_command(ctx, cmd_name)) is not None:
            return known
        targets, wrong = _named()
        if cmd_name in targets:
            return load_verb(cmd_name, targets[cmd_name])
        if wrong:
            raise NotConfigured(
                f"koboshi has no verb {cmd_name}, and {FILE}, which names the project's, is not right: {wrong[0]}"
            )
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """What is called may import the project's modules, unless it has to work whatever is in them."""
        if args[0] not in WITHOUT_PROJECT:
            _put_project_on_path()
        return super().resolve_command(ctx, args)

    def _take_up(self, name: str, target: str) -> None:
        before = list(sys.path)
        _put_project_on_path()
        try:
            self.commands[name] = load_verb(name, target)
        except NotConfigured as error:
            warn(str(error))
        finally:
            sys.path[:] = before


def load_verb(name: str, target: str) -> Any:
    """The verb that `package.module:name` names. Whatever its module raises becomes `NotConfigured`."""
    module, _, attribute = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            raise TypeError(f"{attribute} is {_short(repr(found))}, and a typer.Typer is wanted")
        holder = typer.Typer()
        holder.add_typer(found, name=name)
        return typer.main.get_group(holder).commands[name]
    except (Exception, SystemExit) as error:  # a module of a person's may raise anything
        raise NotConfigured(
            f'[commands] {name} = "{target}" in {FILE} cannot be loaded ({_reason(error)}): mend it, the others work.'
        ) from error


def _reason(error: BaseException) -> str:
    """The error in one line, with the place of a syntax error."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} in {error.filename}, line {error.lineno}"
    return _short(f"{type(error).__name__}: {error}".rstrip(": ."))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def _named() -> tuple[Mapping[str, str], list[str]]:
    """The project's verbs, by name; and what is wrong with its settings, if anything is."""
    wrong: list[str] = []
    try:
        return load_what_fits(wrong.append, with_stack=False).commands, wrong
    except NotConfigured:  # there is no project here
        return {}, []


def _put_project_on_path() -> None:
    with suppress(NotConfigured):
        if (project := str(find_project())) not in sys.path:
            sys.path.insert(0, project)


def warn(sentence: str) -> None:
    """A line on stderr beside what a verb does all the same: to the person, not to a program that reads stdout."""
    typer.echo(f"koboshi: warning: {sentence}", err=True)
