"""Handlers that make a no, or nothing, of *Docker could not tell*.

Judged is a handler of EngineError, or of something broader, where what it guards asks the question, itself
or through functions of the tree. It may raise, hand the exception on, or do something definite with it.
It may not end in an empty value, in NotRunning, or in nothing but a log line.

Whose method is called is not known: for a handler of EngineError any method counts that is called like one
that asks.
"""

import ast
from collections.abc import Iterator, Sequence

from tests.gates.names import Function, Source, SourceTree

_QUESTIONS = {"shared.running.container_state", "shared.running.container_snapshot"}
_NARROW = "shared.errors.EngineError"
_BROAD = {"shared.errors.HealthsweepError", "Exception", "BaseException"}
_LEAVES = (ast.Return, ast.Break, ast.Continue)
_EMPTY_CALLS = {"set", "list", "dict", "tuple", "frozenset", "str", "bool"}
_SAYS = {"debug", "info", "warning", "error", "exception", "critical", "inc", "observe"}


class Asking:
    """The shared functions, and every function of the tree that calls one of them, however indirectly."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        calls: dict[str, set[str]] = {}
        for source in tree.sources.values():
            if source.module != "shared.engine":  # below the question: what it calls is aiodocker's
                for function in source.functions():
                    called = calls.setdefault(f"{source.module}.{function.name}", set())
                    called |= self._calls(source, function.body)
        self._surely, self._perhaps = set(_QUESTIONS), {*_QUESTIONS, *map(_method, _QUESTIONS)}
        while more := {name for name, called in calls.items() if called & self._surely} - self._surely:
            self._surely |= more
        while more := {name for name, called in calls.items() if called & self._perhaps} - self._perhaps:
            self._perhaps |= more | set(map(_method, more))

    def surely(self, source: Source, body: Sequence[ast.stmt]) -> bool:
        """Whether `body` calls one of them."""
        return bool(self._calls(source, body) & self._surely)

    def perhaps(self, source: Source, body: Sequence[ast.stmt]) -> bool:
        """Whether `body` calls one of them, or a method that is called like one."""
        return bool(self._calls(source, body) & self._perhaps)

    def _calls(self, source: Source, body: Sequence[ast.stmt]) -> set[str]:
        """What is called: dotted names, and `.name` for a method of who knows what."""
        called: set[str] = set()
        for call in (node for part in body for node in ast.walk(part) if isinstance(node, ast.Call)):
            match call.func:
                case ast.Attribute(value=ast.Name(id="self"), attr=method):
                    called.add(f"{source.module}.{method}")
                case ast.Attribute(attr=name) as function:
                    called.add(self._tree.meaning(source, function) or _method(name))
                case function:
                    called.add(self._tree.meaning(source, function) or "")
        return called


def _method(name: str) -> str:
    return f".{name.rpartition('.')[2]}"


def swallowed(tree: SourceTree, source: Source, asking: Asking) -> Iterator[tuple[ast.AST, str]]:
    """Each such handler in `source`, with what it makes of the unknown."""
    for node in source.scopes:
        if isinstance(node, ast.Try | ast.TryStar):
            judged = _judged(source, node.body, asking)
            for handler in node.handlers:
                if _catches(tree, source, handler.type, judged) and (what := _makes(tree, source, handler)):
                    yield handler, what
            if judged >= _BROAD and any(isinstance(inner, _LEAVES) for inner in _inside(node.finalbody)):
                yield node, "`finally` leaves with the exception still on its way"
        elif isinstance(node, ast.With | ast.AsyncWith):
            judged = _judged(source, node.body, asking)
            for call in (item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)):
                if (tree.meaning(source, call.func) or "").endswith("suppress") and any(
                    _catches(tree, source, kind, judged) for kind in call.args
                ):
                    yield node, "suppress() makes nothing of an unknown"


def _judged(source: Source, body: Sequence[ast.stmt], asking: Asking) -> set[str]:
    """Of which exceptions a handler around `body` is judged."""
    if asking.surely(source, body):
        return {_NARROW, *_BROAD}
    return {_NARROW} if asking.perhaps(source, body) else set()


def _catches(tree: SourceTree, source: Source, kind: ast.expr | None, judged: set[str]) -> bool:
    """Whether a handler of this kind is judged."""
    if kind is None:
        return judged >= _BROAD
    if isinstance(kind, ast.Tuple):
        return any(_catches(tree, source, part, judged) for part in kind.elts)
    return (tree.meaning(source, kind) or (kind.id if isinstance(kind, ast.Name) else "")) in judged


def _makes(tree: SourceTree, source: Source, handler: ast.ExceptHandler) -> str | None:
    """What the handler makes of the unknown, if that is nothing good."""
    for node in _inside(handler.body):
        match node:
            case _ if _is_said(source, node):
                continue
            case ast.Return(value=value) | ast.Yield(value=value) if value is None or _is_empty(value):
                return f"`{ast.unparse(node)}` makes a no of an unknown"
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) if _is_empty(value):
                if not isinstance(handler.body[-1], ast.Raise):
                    return f"`{ast.unparse(node)}` makes a no of an unknown"
            case ast.Call(func=func) if tree.meaning(source, func) == "shared.running.NotRunning":
                return f"`{ast.unparse(node)}` makes a no of an unknown"
    if all(map(_is_inert, handler.body)):
        return "the unknown ends here and nobody is handed it"
    return None


def _inside(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Every node of `body`, those of functions in it aside."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, Function | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _is_empty(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=constant):
            return not constant
        case ast.Dict(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return not parts or any(map(_is_empty, parts))
        case ast.IfExp(body=one, orelse=other):
            return _is_empty(one) or _is_empty(other)
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name in _EMPTY_CALLS
    return False


def _is_inert(statement: ast.stmt) -> bool:
    """Whether this statement does no more than say something."""
    match statement:
        case ast.Pass() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return name in _SAYS
        case ast.If(body=body, orelse=orelse):
            return all(map(_is_inert, [*body, *orelse]))
    return False


def _is_said(source: Source, node: ast.AST) -> bool:
    """Whether this hands on the word itself: lists of plugins, and compatibility, answer all the same."""
    words = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
    return source.module.startswith("api.") and "unknown" in words
