"""The reference pages that are made from the code: the verbs, the settings, and what a project imports.

Nothing here is written by hand a second time: verbs come from the typer application, settings from their classes,
Python from the docstrings, which are read without importing the modules.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo

SOURCE = Path(__file__).resolve().parent.parent / "src"
FACE = ("koboshi", "koboshi.airflow", "koboshi.drills", "koboshi.streams", "koboshi.testing")
ERRORS = "koboshi.errors"
Definition = ast.ClassDef | ast.FunctionDef | ast.Assign


def pages() -> dict[str, str]:
    """Each page's file name and text."""
    return {"cli.md": verbs_page(), "settings.md": settings_page(), "python.md": python_page()}


def verbs_page() -> str:
    """Every verb with its help, its arguments and its options."""
    from koboshi.cli import app

    root = typer.main.get_group(app)
    verbs = "\n".join(_verb(path, command) for path, command in _commands("koboshi", root))
    return (
        "# Command line (reference)\n\nWhat each verb of `koboshi` does and takes: the text of `--help`, made from the "
        "code. How a verb ends, and which exit code says what, is in [the stack](../docs/stack.md#how-a-verb-ends).\n\n"
        f"{verbs}"
    )


def settings_page() -> str:
    """Every setting of koboshi.toml, its variable, its kind and its default."""
    from koboshi.settings import Known, Section, with_parts

    known = with_parts(Known).model_fields
    sections = {name: field for name, field in known.items() if isinstance(field.default, Section)}
    single = {name: field for name, field in known.items() if name not in sections}
    text = "".join(
        f"## [{name}]\n\n{_prose(inspect.cleandoc(type(field.default).__doc__ or ''))}\n\n"
        f"{_settings(type(field.default).model_fields, f'KOBOSHI_{name.upper()}__')}\n"
        for name, field in sections.items()
    )
    return (
        "# Settings (reference)\n\nWhat `koboshi.toml` may say. The variable in the environment comes before the file. "
        "The pipeline's own numbers are in `params.yaml`. How to set addresses of services that run elsewhere: "
        "[your own services](../docs/your-own-services.md).\n\n"
        f"## Above all sections\n\n{_settings(single, 'KOBOSHI_')}\n{text}"
    )


def python_page() -> str:
    """What a project imports, from the docstrings."""
    parts = [_module(name, _listed(name)) for name in FACE]
    errors = [node.name for node in _tree(ERRORS).body if isinstance(node, ast.ClassDef)]
    return (
        "# Python (reference)\n\nWhat a project imports. Every other module of koboshi may change without notice.\n\n"
        f"{''.join(parts)}{_module(ERRORS, errors)}"
    )


def _commands(path: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(f"{path} {name}", command)
        else:
            yield f"{path} {name}", command


def _verb(path: str, command: Any) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    usage = " ".join((path, *command.collect_usage_pieces(context))).translate({ord("{"): "", ord("}"): ""})
    told = inspect.cleandoc((command.help or "").replace("\b\n", ""))
    rows = "".join(_parameter(one, context) for one in command.params if getattr(one, "name", "") != "help")
    table = f"\n| argument | default | meaning |\n|---|---|---|\n{rows}" if rows else ""
    return f"## {path}\n\n    {usage}\n\n{_prose(told)}\n{table}"


def _parameter(one: Any, context: Any) -> str:
    names = ", ".join((*one.opts, *one.secondary_opts)) if one.param_type_name == "option" else one.name.upper()
    default = one.get_default(context, call=False)
    shown = "" if default in (None, False, (), []) or callable(default) else f"`{default}`"
    return f"| `{names}` | {shown} | {_cell(getattr(one, 'help', None) or '')} |\n"


def _settings(fields: Mapping[str, FieldInfo], prefix: str) -> str:
    rows = "".join(
        f"| `{name}` | `{prefix}{name.upper()}` | {_cell(_kind(field.annotation))} | {_default(field)} |\n"
        for name, field in fields.items()
    )
    return f"| setting | variable | kind | default |\n|---|---|---|---|\n{rows}"


def _kind(annotation: Any) -> str:
    plain = str(annotation) if getattr(annotation, "__args__", ()) else getattr(annotation, "__name__", str(annotation))
    return f"`{plain.replace('pathlib.', '').replace('typing.', '')}`"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "" if value is None or value == "" else f"`{str(value) if isinstance(value, Path) else value!r}`"


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "\\|")


def _prose(text: str) -> str:
    """Text as Markdown: no `<name>` in it is taken for an element, but in code, which stays as it is."""
    lines = text.splitlines()
    return "\n".join(line if line.startswith("    ") else _without_elements(line) for line in lines)


def _without_elements(line: str) -> str:
    parts = line.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def _module(name: str, names: list[str]) -> str:
    told = ast.get_docstring(_tree(name)) or ""
    return f"## {name}\n\n{_prose(told)}\n\n" + "".join(_described(name, one) for one in names)


def _described(module: str, name: str) -> str:
    node = _definition(module, name)
    if isinstance(node, ast.Assign):
        return f"### {module}.{name}\n\n    {ast.unparse(node)}\n\n"
    text = _entry(f"{module}.{name}", node, "###")
    if isinstance(node, ast.ClassDef):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and not _is_overload(method):
                text += _entry(f"{name}.{method.name}", method, "####")
    return text


def _is_overload(method: ast.FunctionDef) -> bool:
    return "overload" in map(ast.unparse, method.decorator_list)


def _entry(title: str, node: Definition, level: str) -> str:
    if isinstance(node, ast.Assign):
        return f"{level} {title}\n\n    {ast.unparse(node)}\n\n"
    return f"{level} {title}\n\n{_signature(node)}{_prose(ast.get_docstring(node) or '')}\n\n"


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    """How it is called, as a block of code; of a class its fields."""
    if isinstance(node, ast.ClassDef):
        fields = [f"    {ast.unparse(one)}" for one in node.body if isinstance(one, ast.AnnAssign)]
        return "".join(f"{line}\n" for line in fields) + "\n" if fields else ""
    if node.args.args and node.args.args[0].arg in ("self", "cls"):
        del node.args.args[0]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"    {node.name}({ast.unparse(node.args)}){returns}\n\n"


def _definition(module: str, name: str) -> Definition | ast.Assign:
    """Where a name is defined: in the module, or in the one that it is imported from."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            return node
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            return node
        if isinstance(node, ast.ImportFrom) and node.module and name in (alias.name for alias in node.names):
            return _definition(node.module, name)
    raise ValueError(f"{module} defines no {name}")


def _listed(module: str) -> list[str]:
    """A module's `__all__`."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and "__all__" in map(ast.unparse, node.targets):
            found: list[str] = ast.literal_eval(node.value)
            return found
    raise ValueError(f"{module} has no __all__")


def _tree(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
