"""Questions to Docker that are written as text: a path of its HTTP interface, a command, a method's name."""

import ast
import re
from collections.abc import Iterator

_PATH = re.compile(r"(?:^|/)containers/(?P<rest>[^?]*)", re.DOTALL)
_ACTS = re.compile(r"create|\{\}/(start|stop|kill|restart|wait|exec|archive|logs)")
"""Paths that act on a container, which asks nothing; `{}` stands for what only a run would know."""

_COMMAND = re.compile(r"(\S*/)?(docker|podman)\s(.*\s)?(inspect|ps|ls|list)(\s.*)?", re.DOTALL)
_RUNNERS = re.compile(r"run|call|check_\w+|Popen|popen|system|getoutput|create_subprocess_\w+")
_SENDS = re.compile(r".*(query|request|get|head|post|send|connect).*")
_BY_NAME = re.compile(r"getattr|methodcaller|attrgetter")
_METHODS = re.compile(r"\bshow\b|\bcontainers\b|\b_docker\b")


def asking_texts(tree: ast.AST, *, sent_only: bool) -> Iterator[tuple[ast.AST, str]]:
    """Every place in `tree` that asks by a text, with how; `sent_only`: a path counts where it is sent."""
    for node, text, receiver in _texts(tree):
        path = _PATH.search(text)
        if path and not _ACTS.fullmatch(path["rest"]) and (_SENDS.fullmatch(receiver) or not sent_only):
            yield node, f"{text!r} is a path of Docker's that tells a state"
        elif text == "aiodocker" or text.startswith("aiodocker."):
            yield node, "aiodocker is for shared/engine.py, under any name"
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple) and _COMMAND.fullmatch(_line(node.elts)):
            yield node, f"`{_line(node.elts)}` asks through Docker's command"
        elif isinstance(node, ast.Call) and node.args:
            name = _called(node)
            if _RUNNERS.fullmatch(name) and _COMMAND.fullmatch(_line(node.args)):
                yield node, f"`{_line(node.args)}` asks through Docker's command"
            elif _BY_NAME.fullmatch(name) and _METHODS.search(_line(node.args)):
                yield node, f"{name}({_line(node.args)}) asks through aiodocker"


def named_texts(tree: ast.AST, pattern: re.Pattern[str]) -> Iterator[tuple[ast.AST, str]]:
    """Every text in `tree` in which `pattern` is found."""
    return ((node, text) for node, text, _ in _texts(tree) if pattern.search(text))


def _texts(node: ast.AST, receiver: str = "") -> Iterator[tuple[ast.AST, str, str]]:
    """Every whole text, with the function that is called with it: pieces put together count as one text,
    docstrings as none."""
    text = _text(node) if isinstance(node, ast.expr) else None
    if text is not None:
        yield node, text, receiver
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        for child in ast.iter_child_nodes(node):
            yield from _texts(child, _called(node) if isinstance(node, ast.Call) else receiver)


def _text(node: ast.expr) -> str | None:
    """The text that `node` makes, with `{}` for what only a run would know; None if it is no text."""
    text: str | None = None
    match node:
        case ast.Constant(value=str(value)):
            text = value
        case ast.JoinedStr(values=values):
            text = _joined(values)
        case ast.FormattedValue(value=inner):
            text = _text(inner)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if _text(left) or _text(right):
            text = _joined([left, right])
        case ast.BinOp(left=left, op=ast.Mod()) if _text(left):
            text = re.sub(r"%[sdr]", "{}", _joined([left]))
        case ast.Call(func=ast.Attribute(value=inner, attr="format")) if _text(inner):
            text = re.sub(r"\{[^}]*\}", "{}", _joined([inner]))
    return text


def _joined(parts: list[ast.expr]) -> str:
    return "".join(_text(part) or "{}" for part in parts)


def _line(arguments: list[ast.expr]) -> str:
    """The arguments as one line of a shell."""
    return " ".join(_text(argument) or "{}" for argument in arguments)


def _called(call: ast.Call) -> str:
    """The last part of the name that is called."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
