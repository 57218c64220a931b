"""A place for git repositories, reached as a real forge is: git smart HTTP, on loopback.

with Forge(directory) as forge:
    repository = forge.repository("owner/plugin")
    commit = repository.commit({"plugin.yaml": b"version: 1"}, tag="v1")
    forge.url                         for GITHUB_BASE_URL
    forge.requests                    every request so far: path and headers
    forge.answer = hang               and it misbehaves: tests/support/rogue.py
    forge.sent_bytes                  how much it got rid of
"""

import gzip
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

_QUIET = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "forge" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}

Answer = Callable[["Handler"], None]


@dataclass(frozen=True)
class Seen:
    """A request that the forge got."""

    method: str
    path: str
    headers: Mapping[str, str]


class Repository:
    """A bare repository. Trees are made object by object, so that they can be as no `git add` makes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", ".")

    def git(self, *arguments: str, content: bytes = b"") -> str:
        ended = subprocess.run(
            ["git", *arguments], cwd=self.path, env=_QUIET, input=content, capture_output=True, check=True
        )
        return ended.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", content=content)

    def tree(self, entries: Mapping[str, tuple[int, str]]) -> str:
        """A tree of (mode, object) by name, whatever the names and the modes are."""
        lines = sorted((name.encode(), mode, bytes.fromhex(named)) for name, (mode, named) in entries.items())
        content = b"".join(b"%o %s\0%s" % (mode, name, named) for name, mode, named in lines)
        return self.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", content=content)

    def nested(self, files: Mapping[str, bytes | tuple[int, bytes]]) -> dict[str, tuple[int, str]]:
        """The entries of a root tree with these files; a file is its content, or its mode and its content."""
        entries: dict[str, tuple[int, str]] = {}
        below: dict[str, dict[str, bytes | tuple[int, bytes]]] = {}
        for path, file in files.items():
            directory, _, rest = path.partition("/")
            if rest:
                below.setdefault(directory, {})[rest] = file
            else:
                mode, content = file if isinstance(file, tuple) else (0o100644, file)
                entries[path] = (mode, self.blob(content))
        entries |= {name: (0o40000, self.tree(self.nested(inside))) for name, inside in below.items()}
        return entries

    def commit(
        self,
        files: Mapping[str, bytes | tuple[int, bytes]],
        *,
        tag: str | None = None,
        branch: str = "main",
        more: Mapping[str, tuple[int, str]] | None = None,
    ) -> str:
        """Commit these files, and `more` entries of the root tree, on top of `branch`; its SHA."""
        tree = self.tree(self.nested(files) | dict(more or {}))
        known = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        parents = ["-p", known] if known else []
        commit = self.git("commit-tree", tree, *parents, "-m", "a commit")
        self.git("update-ref", f"refs/heads/{branch}", commit)
        if tag:
            self.git("tag", "--annotate", "--message=a tag", tag, commit)
        return commit


class Forge:
    """Serves the repositories below `directory`, from entering to leaving."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.requests: list[Seen] = []
        self.sent_bytes = 0
        self.answer: Answer = serve
        self.leaving = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leaving.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def repository(self, name: str) -> Repository:
        return Repository(self.directory / name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, forge: Forge) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.forge = forge


class Handler(BaseHTTPRequestHandler):
    """One request; `begin` and `send` are for answers."""

    protocol_version = "HTTP/1.1"

    @property
    def forge(self) -> Forge:
        assert isinstance(self.server, _Server)
        return self.server.forge

    def do_GET(self) -> None:
        self.forge.requests.append(Seen(self.command, self.path, dict(self.headers)))
        try:
            self.forge.answer(self)
        except ConnectionError:
            self.close_connection = True

    do_POST = do_GET  # noqa: N815 - http.server looks for this name

    def log_message(self, *_: object) -> None:
        pass

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def send(self, content: bytes) -> None:
        self.wfile.write(content)
        self.forge.sent_bytes += len(content)


def serve(handler: Handler) -> None:
    """As git itself does it, see git-http-backend(1)."""
    path, _, query = handler.path.partition("?")
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    if handler.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    environment = {
        **_QUIET,
        "GIT_PROJECT_ROOT": str(handler.forge.directory),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        "REQUEST_METHOD": handler.command,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
    }
    with subprocess.Popen(
        ["git", "-c", "safe.directory=*", "http-backend"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as backend:
        assert backend.stdin
        assert backend.stdout
        backend.stdin.write(body)
        backend.stdin.close()
        headers = {}
        while line := backend.stdout.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name] = value
        handler.begin(int(headers.pop("Status", "200").split()[0]), headers)
        try:
            while chunk := backend.stdout.read(2**16):
                handler.send(chunk)
        finally:
            backend.kill()
