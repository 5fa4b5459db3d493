"""What decides what a function does: its own source, every definition that it reaches, and what those import.

Read from source files, nothing is imported. What counts of a definition is its syntax tree: comments, docstrings, blank
lines and the order of definitions change nothing, and neither does a definition that is not reached. Where a name may
mean two things, both count: too much is trained again rather than too little. What no reader can see (`getattr` with a
computed name, `importlib`, files that a function opens) does not count: name such files in the stage's `deps`.
"""

import ast
import dataclasses
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from koboshi.project.distributions import versions_of

Dotted: TypeAlias = tuple[str, ...]
OWN = "koboshi"
# Whose code shapes the bytes of datasets and models. The rest of koboshi decides where and when, and counts by version.
SHAPING = (
    "koboshi.formats",
    "koboshi.datasets.span_records",
    "koboshi.project.records",
    "koboshi.training.pandas_rows",
    "koboshi.training.sk",
)
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """The digest of the definitions that were reached, and the version of each distribution that they import."""

    sha256: str
    distributions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Both, as JSON values: what code.json keeps of a stage."""
        return {"code": self.sha256, "distributions": dict(sorted(self.distributions.items()))}


def code_of(root: Path, targets: Iterable[str]) -> Code:
    """The code of some functions or classes (`package.module:name`) of the project in `root`, or of koboshi's own."""
    graph = _Reached(root)
    for target in targets:
        module, _, name = target.partition(":")
        graph.follow(module, name.split(".")[0])
    facts = json.dumps(graph.definitions, sort_keys=True).encode()
    return Code(hashlib.sha256(facts).hexdigest(), versions_of(graph.foreign))


def files_of(root: Path, module: str) -> list[Path]:
    """The project's files behind a module: its own, and those of all modules of the project that it imports."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (source := _read(root, name)) is None:
            continue
        found[name] = source.path
        for statement in ast.walk(source.tree):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for targets in _imported(statement, source).values():
                    waiting += [".".join(target[:length]) for target in targets for length in range(1, len(target) + 1)]
    return sorted(found.values())


class _Reached:
    """The walk: `definitions` by their full name, as digests, and the modules that are not the project's."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, _Source | None] = {}
        self._seen: set[tuple[str, str]] = set()
        self.definitions: dict[str, str] = {}
        self.foreign: set[str] = set()

    def follow(self, module: str, name: str) -> None:
        """Take up a name of a module and all that it reaches."""
        if (module, name) in self._seen:
            return
        self._seen.add((module, name))
        if (source := self._source(module)) is None:
            self._take_foreign(module, name)
            return
        for number, statement in enumerate(source.bindings.get(name, ())):
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                self.definitions[f"{module}.{name}#{number}"] = digest_of(statement)
                local = _imports_in(statement, source)
                for dotted in references(statement):
                    self._follow_reference(source, dotted, local.get(dotted[0], ()))
        if name not in source.bindings:
            for starred in source.starred:
                self.follow(starred, name)

    def _follow_reference(self, source: "_Source", dotted: Dotted, local: Iterable[Dotted] = ()) -> None:
        """`name` or `module.name` as it stands in a module: the attribute of an imported module is that module's."""
        name, *attributes = dotted
        targets = [*local]
        for statement in source.bindings.get(name, ()):
            targets += _imports_in(statement, source).get(name, ())
        for target in targets:
            self._follow_path((*target, *attributes))
        self.follow(source.module, name)

    def _follow_path(self, path: Dotted) -> None:
        """The longest module of an absolute dotted path, and the name behind it; a whole module if there is none."""
        length = next((n for n in range(len(path), 0, -1) if self._source(".".join(path[:n]))), 0)
        if length == 0:
            self._take_foreign(path[0], path[1] if len(path) > 1 else "")
            return
        module = ".".join(path[:length])
        source = self._source(module)
        for name in path[length : length + 1] or (source.bindings if source else ()):
            if source is not None:
                self._follow_reference(source, (name,))

    def _take_foreign(self, module: str, name: str) -> None:
        self.foreign.add(module.split(".")[0])
        if module.split(".")[0] == OWN:
            self._take_own(module, name)

    def _take_own(self, module: str, name: str) -> None:
        """A module of koboshi's that shapes bytes, with those that it imports; of a name of the face, its module."""
        from koboshi import FACE

        found = FACE.get(name, "").partition(":")[0] if module == OWN else module
        for reached, tree in own_modules(found).items():
            self.definitions[reached] = digest_of(tree)
            self.foreign.update(top.split(".")[0] for top in _imports_of(tree))

    def _source(self, module: str) -> "_Source | None":
        if module not in self._modules:
            self._modules[module] = _read(self._root, module)
        return self._modules[module]


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    """A module of the project: what binds each of its names, and the modules of which it takes all names."""

    module: str
    package: str
    path: Path
    tree: ast.Module
    bindings: Mapping[str, list[ast.stmt]]
    starred: tuple[str, ...]


def _read(root: Path, module: str) -> _Source | None:
    base = root.joinpath(*module.split("."))
    for path, package in ((base.with_suffix(".py"), module.rpartition(".")[0]), (base / "__init__.py", module)):
        if path.is_file():
            tree = ast.parse(path.read_bytes(), str(path))
            starred = tuple(
                ".".join(_absolute(statement, package))
                for statement in ast.walk(tree)
                if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"
            )
            return _Source(module, package, path, tree, _bindings(tree), starred)
    return None


def _bindings(tree: ast.Module) -> Mapping[str, list[ast.stmt]]:
    """For each name of a module the statements that bind it; a block (`if`, `try`, `with`) counts as a whole."""
    found: defaultdict[str, list[ast.stmt]] = defaultdict(list)
    for statement in tree.body:
        for name in sorted(set(_bound(statement))):
            found[name].append(statement)
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _bound(child)


def references(statement: ast.stmt) -> set[Dotted]:
    """The names that a statement uses, with their attributes: `a.b.c` is one."""
    return set(_chains(statement))


def _chains(node: ast.AST) -> Iterator[Dotted]:
    names, inner = list[str](), node
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        if isinstance(inner.ctx, ast.Load):
            yield (inner.id, *reversed(names))
        return
    for child in ast.iter_child_nodes(inner):
        yield from _chains(child)


def _imported(statement: ast.Import | ast.ImportFrom, source: _Source) -> defaultdict[str, list[Dotted]]:
    """For each name that an import binds, what it stands for, absolutely."""
    found: defaultdict[str, list[Dotted]] = defaultdict(list)
    base = _absolute(statement, source.package) if isinstance(statement, ast.ImportFrom) else ()
    for alias in statement.names:
        parts = tuple(alias.name.split("."))
        if isinstance(statement, ast.ImportFrom):
            found[alias.asname or alias.name].append((*base, *parts))
        else:
            found[alias.asname or parts[0]].append(parts if alias.asname else parts[:1])
    return found


def _imports_in(statement: ast.stmt, source: _Source) -> Mapping[str, list[Dotted]]:
    """What each name stands for that an import anywhere in the statement binds."""
    found: defaultdict[str, list[Dotted]] = defaultdict(list)
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, targets in _imported(node, source).items():
                found[name] += targets
    return found


def _absolute(statement: ast.ImportFrom, package: str) -> Dotted:
    below = tuple(statement.module.split(".")) if statement.module else ()
    if not statement.level:
        return below
    parents = package.split(".") if package else []
    return (*parents[: len(parents) - statement.level + 1], *below)


def digest_of(tree: ast.AST) -> str:
    """SHA-256 of a syntax tree without places, comments and docstrings."""
    parsed = ast.parse(ast.unparse(tree))
    for node in ast.walk(parsed):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
    return hashlib.sha256(ast.dump(parsed).encode()).hexdigest()


def own_modules(module: str) -> dict[str, ast.Module]:
    """A module of koboshi's that shapes bytes and those that it imports, as syntax trees, by name."""
    folder = Path(sys.modules[OWN].__file__ or "").parents[1]
    found: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        base = folder.joinpath(*name.split("."))
        path = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
        if name in found or not name.startswith(SHAPING) or not path.is_file():
            continue
        found[name] = ast.parse(path.read_bytes())
        waiting += _imports_of(found[name])
    return found


def _imports_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
