"""Who asks Docker for a container's state, and who turns "Docker could not tell" into a no.

`check(root, consumers=...)` reads the source tree at `root`, runs nothing, and answers what it found:

    asks itself    anything but shared.running asks: by the engine's two state methods, by aiodocker, by a
                   path of Docker's HTTP interface, or by Docker's own command
    does not ask   a consumer never calls shared.running.container_state
    swallows       an `except` around the question ends in None, False, an empty value or nothing
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.gates.names import Scope, Source, SourceTree
from tests.gates.swallow import Asking, swallowed
from tests.gates.texts import asking_texts, named_texts

QUESTION = "shared.running.container_state"
STATE_METHODS = ("inspect_container_state", "list_container_states")

WHY = """
Whether a container runs is asked in one place, shared.running.container_state, and it has three outcomes:
running, not running, and EngineError when Docker could not tell. There were two copies of the question
once. One of them read a sick Docker daemon as a dead container, and operators could not tell the two apart.
If the answer lacks what you need, give it a field or a row in shared/running.py, and every process has it.
If you cannot act on EngineError, let it through to somebody who can. How: docs/decisions/gates.md"""

_ENGINE, _RUNNING = "shared.engine", "shared.running"
_DOOR = re.compile("|".join(STATE_METHODS))


class Finding(NamedTuple):
    """One violation, and where it is."""

    file: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.what}"


def check(root: Path, *, consumers: tuple[str, ...]) -> list[Finding]:
    """Everything in the tree at `root` that breaks the rule."""
    tree = SourceTree(root)
    asking = Asking(tree)
    findings = [*_subject(tree)]
    for source in tree.sources.values():
        found = [("asks itself", node, what) for node, what in _asks_itself(source)]
        found += [("swallows", node, what) for node, what in swallowed(tree, source, asking)]
        findings += [
            Finding(source.path, getattr(node, "lineno", 0), rule, what) for rule, node, what in found
        ]
    for consumer in consumers:
        own = [source for source in tree.sources.values() if source.module.split(".")[0] == consumer]
        if not any(_asks(tree, source) for source in own):
            findings.append(Finding(f"{consumer}/", 0, "does not ask", f"nothing here calls {QUESTION}"))
    return findings


def _asks(tree: SourceTree, source: Source) -> bool:
    return any(isinstance(n, ast.Call) and tree.meaning(source, n.func) == QUESTION for n in source.scopes)


def _subject(tree: SourceTree) -> Iterator[Finding]:
    """The rule speaks of names, so each must be there: defined by the engine, used once by who may."""
    for method in STATE_METHODS:
        engine, running = tree.sources.get(_ENGINE), tree.sources.get(_RUNNING)
        defined = engine is not None and method in {function.name for function in engine.functions()}
        nodes = running.scopes if running is not None else ()
        uses = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == method]
        if not defined or len(uses) != 1:
            what = f"{method} is not defined in shared/engine.py, or not used just once in shared/running.py"
            yield Finding("shared/running.py", uses[-1].lineno if uses else 0, "asks itself", what)


def _asks_itself(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Each node that asks Docker for a state, with how, where only shared.running may."""
    if source.module == _RUNNING:
        return
    behind_the_door = _behind_the_door(source)
    for node in source.scopes:
        if node not in behind_the_door and (what := _question(source, node)):
            yield node, what
    for node, text in named_texts(source.tree, _DOOR):
        yield node, f"{text!r} names what is for shared/running.py"
    for node, what in asking_texts(source.tree, sent_only=source.module == _ENGINE):
        if node not in behind_the_door:
            yield node, what


def _behind_the_door(source: Source) -> set[ast.AST]:
    """What the engine's two state methods do, and nothing else that stands in the engine's file."""
    doors = [function for function in source.functions() if function.name in STATE_METHODS]
    return {node for door in doors for node in ast.walk(door)} if source.module == _ENGINE else set()


def _question(source: Source, node: ast.AST) -> str | None:
    """How this node asks Docker for a state, if it does."""
    what = None
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if _DOOR.fullmatch(name):
            what = f"{name} is defined once, in shared/engine.py"
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.arg(arg=name) if (
            _DOOR.fullmatch(name)
        ):
            what = f"{name} is for shared/running.py"
        case ast.Attribute(attr="get" | "list" as name, value=owner) if _is_containers(source, owner):
            what = f"aiodocker's containers.{name}() asks for a state"
        case ast.Call(func=ast.Attribute(attr="show")):
            what = "aiodocker's show() is an inspect"
        case _ if source.module == _ENGINE:
            pass
        case ast.alias(name=name) | ast.ImportFrom(module=str(name)) if name.split(".")[0] == "aiodocker":
            what = "aiodocker is for shared/engine.py"
        case ast.Attribute(attr="_docker"):
            what = "this reaches into the engine"
    return what


def _is_containers(source: Source, node: ast.expr) -> bool:
    """Whether this is some object's attribute `containers`, or a name that was given it."""
    scope: Scope | None = source.scopes[node]
    while isinstance(node, ast.Name) and scope is not None:
        bound = scope.names.get(node.id, [])
        if any(isinstance(value, ast.Attribute) and value.attr == "containers" for value in bound):
            return True
        scope = scope.parent
    return isinstance(node, ast.Attribute) and node.attr == "containers"
