"""What a name in a source tree stands for, followed through imports, aliases and re-exports.

Nothing is imported, so that it works on any tree. A name that is bound in more than one way, or as an
argument, or by code that only a run could follow, stands for nothing.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
Bound = str | ast.expr | None

_DEPTH = 20
_NOT_SOURCE = ("tests", "build")


@dataclass(slots=True)
class Scope:
    """The names of a module, a class or a function, each with all that it is bound to there.

    What a class binds is no name for its methods: their `parent` is the scope around the class.
    """

    parent: "Scope | None" = None
    is_class: bool = False
    names: dict[str, list[Bound]] = field(default_factory=dict)

    def bind(self, name: str, value: Bound) -> None:
        self.names.setdefault(name, []).append(value)


@dataclass(frozen=True, slots=True)
class Source:
    """One file. `scopes` holds every node, parents first, with the scope that it stands in."""

    path: str
    module: str
    tree: ast.Module
    top: Scope
    scopes: dict[ast.AST, Scope]

    def functions(self) -> Iterator[Function]:
        return (node for node in self.scopes if isinstance(node, Function))


class SourceTree:
    """Every Python file below `root`, but for the tests and what is no source, such as `.venv`."""

    def __init__(self, root: Path) -> None:
        tops = [path for path in root.iterdir() if path.name[0] != "." and path.name not in _NOT_SOURCE]
        files = sorted(file for top in tops for file in ([top] if top.is_file() else top.rglob("*.py")))
        sources = (_read(str(f.relative_to(root)), f.read_text()) for f in files if f.suffix == ".py")
        self.sources = {source.module: source for source in sources}

    def meaning(self, source: Source, node: ast.expr) -> str | None:
        """The dotted name of what `node`, a name or an attribute, stands for; None if that is unknown."""
        return self._origin(self._dotted(source, source.scopes[node], node))

    def _dotted(self, source: Source, scope: Scope, node: ast.expr, depth: int = 0) -> str | None:
        if isinstance(node, ast.Attribute):
            owner = self._dotted(source, scope, node.value, depth)
            return f"{owner}.{node.attr}" if owner else None
        if not isinstance(node, ast.Name) or depth > _DEPTH:
            return None
        within: Scope | None = scope
        while within is not None and node.id not in within.names:
            within = within.parent
        if within is None:
            return self._by_star(source, node.id)
        first, *others = within.names[node.id]
        if any(other != first for other in others):
            return None
        return self._dotted(source, within, first, depth + 1) if isinstance(first, ast.expr) else first

    def _by_star(self, source: Source, name: str) -> str | None:
        for star in source.top.names.get("*", ()):
            if isinstance(star, str) and star in self.sources and name in self.sources[star].top.names:
                return f"{star}.{name}"
        return None

    def _origin(self, dotted: str | None, depth: int = 0) -> str | None:
        """`dotted` as it is called where it is defined: a module of the tree may only hand it on."""
        owner, _, name = (dotted or "").rpartition(".")
        if dotted is None or not owner or depth > _DEPTH:
            return dotted
        if (source := self.sources.get(owner)) is None:
            original = self._origin(owner, depth + 1)
            return dotted if original in (None, owner) else self._origin(f"{original}.{name}", depth + 1)
        handed_on = self._dotted(source, source.top, ast.Name(name))
        if handed_on is None:
            return None if name in source.top.names else dotted
        return dotted if handed_on == dotted else self._origin(handed_on, depth + 1)


@cache  # the copies of one tree differ in a line or two
def _read(path: str, text: str) -> Source:
    parts = Path(path).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    source = Source(path, module, ast.parse(text, path), Scope(), {})

    def visit(node: ast.AST, scope: Scope) -> None:
        source.scopes[node] = scope
        _bind(node, scope, module if scope is source.top else None, parts[:-1])
        inner = scope
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            around = scope.parent if scope.is_class else scope
            inner = Scope(around, is_class=isinstance(node, ast.ClassDef))
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(source.tree, source.top)
    return source


def _bind(node: ast.AST, scope: Scope, module: str | None, package: tuple[str, ...]) -> None:
    """Note in `scope` what `node` binds there; `module` is its name where the scope is a module's."""
    match node:
        case ast.Import():
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                scope.bind(alias.asname or name, name)
        case ast.ImportFrom():
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                value = origin if alias.name == "*" else f"{origin}.{alias.name}"
                scope.bind(alias.asname or alias.name, value)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            scope.bind(node.name, f"{module}.{node.name}" if module else None)
        case ast.Assign(targets=[ast.Name(id=name) as target], value=ast.Name() | ast.Attribute()):
            scope.bind(name, node.value)
            target.ctx = ast.Load()  # bound already, to more than nothing
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            scope.bind(name, None)
